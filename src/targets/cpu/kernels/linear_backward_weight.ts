/**
 * linear_backward_weight, paca_linear_backward_delta: a parameter's gradient, summed over all tokens and added to.
 * @module
 */
import type { Kernel, KernelCall } from "../../target.ts";
import { dimOf } from "../gemm_tiles.ts";
import { productKernel } from "../product_kernel.ts";

/** dweight[O,K] += dyᵀ x, or ddelta[O,R] += scale dyᵀ x_p. */
export const linearBackwardWeight: Kernel = productKernel("linear_backward_weight", {
  roots: ["linear_backward_weight", "paca_linear_backward_delta"],
  product: (call) => ({ m: dimOf(call, "O"), n: columnsOf(call), k: dimOf(call, "T") }),
  context: (call) => ({ paca: isDelta(call), columns: columnsOf(call) }),
});

function columnsOf(call: KernelCall): number {
  return dimOf(call, isDelta(call) ? "R" : "K");
}

function isDelta(call: KernelCall): boolean {
  return call.node.op === "paca_linear_backward_delta";
}
