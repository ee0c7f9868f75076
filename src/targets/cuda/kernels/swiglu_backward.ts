/**
 * Gradients of the gated activation; eight elements a thread.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** dgate and dup from dy, gate and up. */
export const swigluBackward = cudaKernel("swiglu_backward", {
  ...THREADS,
  launches: (call, { threads }) => [
    overPieces(dim(call, "T") * dim(call, "F") / 8, Number(threads)),
  ],
});
