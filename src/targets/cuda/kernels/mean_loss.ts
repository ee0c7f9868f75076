/**
 * The mean loss, summed by one warp in a fixed order.
 * @module
 */
import { cudaKernel, overRows } from "../kernel.ts";

/** loss = loss_scale · Σ losses. */
export const meanLoss = cudaKernel("mean_loss", { launches: () => [overRows(1, 1)] });
