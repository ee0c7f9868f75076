/**
 * The norm of all gradients: sums of squares over blocks of fixed size, so that its bits do not depend on the
 * number of threads.
 * @module
 */
import type { Kernel, KernelCall } from "../../target.ts";
import { untuned } from "../untuned.ts";
import { dim } from "../../calls.ts";

const BLOCK = 1 << 14;
const blocksOf = (call: KernelCall) => Math.ceil(dim(call, "P") / BLOCK);

/** norm = sqrt(Σ g²). */
export const globalNorm: Kernel = untuned("global_norm", {
  shared: (call) => blocksOf(call) * Float64Array.BYTES_PER_ELEMENT,
  context: (call) => ({ block: BLOCK, blocks: blocksOf(call) }),
});
