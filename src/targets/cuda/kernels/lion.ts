/**
 * The optimiser over all trained parameters in one launch. 1 - beta is rounded from float64, as AdamW's.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { dim, floatLiteral } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** One Lion step, in place. */
export const lion = cudaKernel("lion", {
  ...THREADS,
  launches: (call, { threads }) => [overPieces(dim(call, "P"), Number(threads))],
  context: ({ attributes }) => ({
    one_minus_beta1: floatLiteral(1 - num(attributes, "beta1")),
    one_minus_beta2: floatLiteral(1 - num(attributes, "beta2")),
  }),
});
