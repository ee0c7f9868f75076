/**
 * The optimiser over all trained parameters in one pass. 1 - beta is rounded from float64, as AdamW's.
 * @module
 */
import { num } from "../../../ops/access.ts";
import type { Kernel } from "../../target.ts";
import { floatLiteral } from "../../calls.ts";
import { untuned } from "../untuned.ts";

/** One Lion step, in place. */
export const lion: Kernel = untuned("lion", {
  context: ({ attributes }) => ({
    one_minus_beta1: floatLiteral(1 - num(attributes, "beta1")),
    one_minus_beta2: floatLiteral(1 - num(attributes, "beta2")),
  }),
});
