/**
 * Gradients of the gated activation.
 * @module
 */
import { cudaKernel, overElements } from "../kernel.ts";

/** dgate and dup from dy, gate and up. */
export const swigluBackward = cudaKernel("swiglu_backward", overElements("T", "F"));
