/**
 * Gradients of the normalisation. The residual stream's own gradient joins dx on the way; dweight is summed over
 * blocks of rows whose number is fixed, so that its bits do not depend on the threads.
 * @module
 */
import type { Kernel, KernelCall } from "../../target.ts";
import { untuned } from "../untuned.ts";
import { dim } from "../../calls.ts";

const MAX_BLOCKS = 64;

function blocksOf(call: KernelCall): { blockRows: number; blocks: number } {
  const rows = dim(call, "T");
  const blockRows = Math.ceil(rows / MAX_BLOCKS);
  return { blockRows, blocks: Math.ceil(rows / blockRows) };
}

/** dx (+ residual), and dweight where the weight is trained. */
export const rmsNormBackward: Kernel = untuned("rms_norm_backward", {
  residual: true,
  shared: (call) =>
    call.operands.some(({ name }) => name === "dweight")
      ? blocksOf(call).blocks * dim(call, "D") * Float32Array.BYTES_PER_ELEMENT
      : 0,
  context(call) {
    const { blockRows, blocks } = blocksOf(call);
    return { block_rows: blockRows, blocks };
  },
});
