/**
 * adapted_linear of several tokens: one matrix product; switched on, PaCA's columns are patched while W is packed.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { dim, operandOf } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

/** y[T,O] = x[T,K] Weᵀ + bias + residual, We = W where the scale is 0. */
export const adaptedLinear: Kernel = productKernel("adapted_linear", {
  roots: ["adapted_linear"],
  epilogue: [["add"]],
  product: (call) => ({
    m: dim(call, "T"),
    n: dim(call, "O"),
    k: dim(call, "K"),
    whole: operandOf(call, "y")?.dtype !== "f32",
  }),
  context: (call) => ({
    bias: operandOf(call, "bias") !== undefined,
    residual: operandOf(call, "residual") !== undefined,
  }),
});
