/**
 * The optimiser over all trained parameters in one pass. 1 - beta is rounded from float64, as torch does: the
 * float32 difference 1 - 0.999f would be off by 1e-5 of itself.
 * @module
 */
import { num } from "../../../ops/access.ts";
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";
import { floatLiteral } from "../../calls.ts";

/** One AdamW step, in place. */
export const adamw: Kernel = untuned("adamw", {
  context: ({ attributes }) => ({
    one_minus_beta1: floatLiteral(1 - num(attributes, "beta1")),
    one_minus_beta2: floatLiteral(1 - num(attributes, "beta2")),
  }),
});
