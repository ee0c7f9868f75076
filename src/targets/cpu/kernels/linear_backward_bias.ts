/**
 * linear_backward_bias: the gradient of a bias, the sum of dy over tokens.
 * @module
 */
import { dimOf, operandBytes } from "../gemm_tiles.ts";
import { costText } from "../../calls.ts";
import { byRoofline } from "../../roofline.ts";
import type { Kernel, KernelCall } from "../../target.ts";

/** dbias[O] += Σ_t dy[t]. */
export const linearBackwardBias: Kernel = {
  name: "linear_backward_bias",
  serves: { roots: ["linear_backward_bias"], epilogue: [] },
  tunables: {},
  defaults: () => ({}),
  legal: () => true,
  traffic,
  predict: byRoofline(traffic),
  workspace: () => ({ perThread: 0, shared: 0 }),
  context(call) {
    const { flops, bytes } = traffic(call);
    return { cost: costText(flops, bytes) };
  },
};

function traffic(call: KernelCall): { flops: number; bytes: number } {
  return { flops: dimOf(call, "T") * dimOf(call, "O"), bytes: operandBytes(call) };
}
