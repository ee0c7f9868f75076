/**
 * Root mean square normalisation; threads share rows.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** y = x · inverse_rms · weight, and inverse_rms. */
export const rmsNorm: Kernel = untuned("rms_norm");
