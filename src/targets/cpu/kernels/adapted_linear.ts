/**
 * adapted_linear of several tokens: one matrix product; switched on, PaCA's columns are patched while W is packed.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { dimOf, operandOf } from "../gemm_tiles.ts";
import { productKernel } from "../product_kernel.ts";

/** y[T,O] = x[T,K] Weᵀ + bias + residual, We = W where the scale is 0. */
export const adaptedLinear: Kernel = productKernel("adapted_linear", {
  roots: ["adapted_linear"],
  epilogue: [["add"]],
  product: (call) => ({
    m: dimOf(call, "T"),
    n: dimOf(call, "O"),
    k: dimOf(call, "K"),
    whole: operandOf(call, "y")?.dtype !== "f32",
  }),
  context: (call) => ({
    bias: operandOf(call, "bias") !== undefined,
    residual: operandOf(call, "residual") !== undefined,
  }),
});
