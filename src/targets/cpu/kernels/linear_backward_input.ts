/**
 * linear_backward_input, paca_linear_backward_input: the gradient that flows on, with PaCA's columns patched while W is packed.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { dimOf, operandOf } from "../gemm_tiles.ts";
import { productKernel } from "../product_kernel.ts";

/** dx[T,K] = dy[T,O] We + residual. */
export const linearBackwardInput: Kernel = productKernel("linear_backward_input", {
  roots: ["linear_backward_input", "paca_linear_backward_input"],
  epilogue: ["add"],
  product: (call) => ({
    m: dimOf(call, "T"),
    n: dimOf(call, "K"),
    k: dimOf(call, "O"),
    whole: operandOf(call, "dx")?.dtype !== "f32",
  }),
  context: (call) => ({
    paca: call.node.op === "paca_linear_backward_input",
    residual: operandOf(call, "residual") !== undefined,
  }),
});
