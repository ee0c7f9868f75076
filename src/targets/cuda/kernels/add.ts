/**
 * The sum of two tensors, where no other kernel took it over.
 * @module
 */
import { cudaKernel, overElements } from "../kernel.ts";

/** y = a + b. */
export const add = cudaKernel("add", overElements("T", "D"));
