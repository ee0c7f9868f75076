/**
 * The mean loss, summed in float64 by one thread.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** loss = loss_scale · Σ losses. */
export const meanLoss: Kernel = untuned("mean_loss");
