/**
 * The norm's gradient; a warp takes a row. A trained weight's gradient is summed over blocks of tokens, and these in order.
 * @module
 */
import { dim, operandOf } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { cudaKernel, groupOf, overRows, ROWS, SMALL } from "../kernel.ts";

const BLOCK_TOKENS = 64;
const THREADS = 128;

const trained = (call: KernelCall) => operandOf(call, "dweight") !== undefined;
const blocksOf = (call: KernelCall) => Math.ceil(dim(call, "T") / BLOCK_TOKENS);

/** dx (+ residual), and dweight where the weight is trained. */
export const rmsNormBackward = cudaKernel("rms_norm_backward", {
  ...ROWS,
  epilogue: [["add"]],
  workspace: (call) => trained(call) ? 4 * blocksOf(call) * dim(call, "D") : 0,
  launches(call, { rows }) {
    const across = Math.ceil(dim(call, "D") / THREADS);
    const own = [overRows(dim(call, "T"), Number(rows))];
    if (!trained(call)) return own;
    const at = { threads: THREADS, ...SMALL };
    return [
      ...own,
      { entry: "_sums", grid: [across, blocksOf(call), 1], ...at },
      { entry: "_total", grid: [across, 1, 1], ...at },
    ];
  },
  context: (call) => ({ group: groupOf(call), blockTokens: BLOCK_TOKENS, blocks: blocksOf(call) }),
});
