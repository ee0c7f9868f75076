/**
 * Gradients of the gated activation; threads share elements.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** dgate and dup from dy, gate and up. */
export const swigluBackward: Kernel = untuned("swiglu_backward");
