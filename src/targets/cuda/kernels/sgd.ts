/**
 * The optimiser over all trained parameters in one launch.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** One step of SGD with momentum, in place. */
export const sgd = cudaKernel("sgd", {
  ...THREADS,
  launches: (call, { threads }) => [overPieces(dim(call, "P"), Number(threads))],
  context: ({ attributes }) => ({ nesterov: attributes.nesterov === true }),
});
