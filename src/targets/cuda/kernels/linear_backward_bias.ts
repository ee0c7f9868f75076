/**
 * The gradient of a bias: blocks of tokens are summed apart, then added in order.
 * @module
 */
import { dim } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { cudaKernel, SMALL } from "../kernel.ts";

const BLOCK_TOKENS = 64;
const THREADS = 128;
const blocksOf = (call: KernelCall) => Math.ceil(dim(call, "T") / BLOCK_TOKENS);

/** dbias += Σ dy. */
export const linearBackwardBias = cudaKernel("linear_backward_bias", {
  workspace: (call) => 4 * blocksOf(call) * dim(call, "O"),
  launches(call) {
    const across = Math.ceil(dim(call, "O") / THREADS);
    const at = { threads: THREADS, ...SMALL };
    return [
      { entry: "_sums", grid: [across, blocksOf(call), 1], ...at },
      { entry: "", grid: [across, 1, 1], ...at },
    ];
  },
  context: (call) => ({ blockTokens: BLOCK_TOKENS, blocks: blocksOf(call) }),
});
