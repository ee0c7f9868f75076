/**
 * The gated activation of the feed-forward block; threads share elements.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** y = gate · sigmoid(gate) · up. */
export const swiglu: Kernel = untuned("swiglu");
