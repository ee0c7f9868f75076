/**
 * The norm of all gradients: blocks sum ranges of their own, one warp adds them in order.
 * @module
 */
import { dim } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { cudaKernel, overRows, SMALL, THREADS } from "../kernel.ts";

/** Values that a block sums at least. */
const BLOCK = 4096;
const MOST_BLOCKS = 512;
const blocksOf = (call: KernelCall) => Math.min(MOST_BLOCKS, Math.ceil(dim(call, "P") / BLOCK));

/** norm = sqrt(Σ g²). */
export const globalNorm = cudaKernel("global_norm", {
  ...THREADS,
  workspace: (call) => 4 * blocksOf(call),
  launches: (call, { threads }) => [
    { entry: "_sums", grid: [blocksOf(call), 1, 1], threads: Number(threads), ...SMALL },
    overRows(1, 1),
  ],
  context: (call) => ({ blocks: blocksOf(call) }),
});
