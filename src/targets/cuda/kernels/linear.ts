/**
 * y = x Wᵀ (+ bias) (+ residual), also with PaCA's columns: the contraction gets R more of them, and x_p is written on the way.
 * @module
 */
import { dim, operandOf } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { extendedWidth } from "../tiles.ts";
import { cudaProduct } from "../product.ts";

const isPaca = (call: KernelCall) => call.node.op === "paca_linear";

/** y, and of a PaCA linear x_p. */
export const linear = cudaProduct("linear", {
  roots: ["linear", "paca_linear"],
  epilogue: [["add"]],
  extents: (call) => ({ m: dim(call, "T"), n: dim(call, "O") }),
  extra: (call, { bm, bn }) => isPaca(call) ? 2 * (bm + bn) * extendedWidth(dim(call, "R")) : 0,
  fixed: (call) => isPaca(call) ? 4 * dim(call, "R") : 0,
  context: (call) => ({
    paca: isPaca(call),
    bias: operandOf(call, "bias") !== undefined,
    residual: call.epilogue.some(({ step }) => step === "add"),
  }),
});
