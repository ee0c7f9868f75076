/**
 * The gated activation of the feed-forward block.
 * @module
 */
import { cudaKernel, overElements } from "../kernel.ts";

/** y = gate · sigmoid(gate) · up. */
export const swiglu = cudaKernel("swiglu", overElements("T", "F"));
