/**
 * The optimiser over all trained parameters in one launch. 1 - beta is rounded from float64, as torch does.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { dim, floatLiteral } from "../../calls.ts";
import { cudaKernel, divisor, overPieces, THREADS } from "../kernel.ts";

/** One AdamW step, in place. */
export const adamw = cudaKernel("adamw", {
  ...THREADS,
  launches: (
    call,
    { threads },
  ) => [overPieces(dim(call, "P") / divisor(dim(call, "P")), Number(threads))],
  context: ({ attributes, dims: { P } }) => ({
    group: divisor(P),
    one_minus_beta1: floatLiteral(1 - num(attributes, "beta1")),
    one_minus_beta2: floatLiteral(1 - num(attributes, "beta2")),
  }),
});
