/**
 * linear, paca_linear: one matrix product; PaCA's columns are patched while W is packed, so We never exists; where pairs of bf16
 * are multiplied, a bf16 column would be too coarse for that, and the contraction gets them as further steps.
 *
 * Rope, swiglu, and one product for q, k and v or for gate and up were built and measured: on AVX2 each cost more than it saved, since
 * a block of sums then rests in scratch and comes by a second time, while x stays in cache from one product to the next anyway.
 * @module
 */
import type { Kernel, KernelCall } from "../../target.ts";
import { dimOf } from "../gemm_tiles.ts";
import { operandOf, roundUp } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

/** y[T,O] = x[T,K] Weᵀ + bias + residual; x_p[T,R] = x[:, index]. */
export const linear: Kernel = productKernel("linear", {
  roots: ["linear", "paca_linear"],
  epilogue: [["add"]],
  inParts: true,
  streams: true,
  product: (call) => ({
    m: dimOf(call, "T"),
    n: dimOf(call, "O"),
    k: dimOf(call, "K"),
    whole: operandOf(call, "y")?.dtype !== "f32",
  }),
  paired: (call) => ({
    m: dimOf(call, "T"),
    n: dimOf(call, "O"),
    k: isPaca(call) ? roundUp(dimOf(call, "K"), 2) + dimOf(call, "R") : dimOf(call, "K"),
    whole: operandOf(call, "y")?.dtype !== "f32",
  }),
  context: (call) => ({
    paca: isPaca(call),
    bias: operandOf(call, "bias") !== undefined,
    residual: operandOf(call, "residual") !== undefined,
  }),
});

function isPaca(call: KernelCall): boolean {
  return call.node.op === "paca_linear";
}
