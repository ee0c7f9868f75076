/**
 * The optimiser over all trained parameters in one pass.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** One step of SGD with momentum, in place. */
export const sgd: Kernel = untuned("sgd", {
  context: ({ attributes }) => ({ nesterov: attributes.nesterov === true }),
});
