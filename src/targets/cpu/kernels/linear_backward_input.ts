/**
 * linear_backward_input, paca_linear_backward_input: the gradient that flows on, with PaCA's columns patched while W is packed.
 *
 * Gradients that are only added up (those of q, k and v; of gate and up) are one call: the sum over outputs goes on from one
 * member to the next in the same dx.
 *
 * A step swiglu_backward was built and measured in tile registers: it took 1.5 times as long as both kernels, since exp and a division for
 * each sum take longer than the products that they would hide behind.
 * @module
 */
import type { Kernel, KernelCall, Member } from "../../target.ts";
import { dimOf } from "../gemm_tiles.ts";
import { operandOf } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

/** dx[T,K] = Σ_i dy_i[T,O_i] We_i + residual. */
export const linearBackwardInput: Kernel = productKernel("linear_backward_input", {
  roots: ["linear_backward_input", "paca_linear_backward_input"],
  epilogue: [["add"]],
  group: "summed_output",
  inParts: true,
  product: (call) => ({
    m: dimOf(call, "T"),
    n: dimOf(call, "K"),
    k: Math.max(...widths(call)),
    whole: operandOf(call, "dx")?.dtype === "bf16",
  }),
  // PaCA's columns are added to the sums that rest in dx.
  paired: (call) =>
    operandOf(call, "dx")?.dtype === "f32"
      ? {
        m: dimOf(call, "T"),
        n: dimOf(call, "K"),
        k: Math.max(...widths(call)),
        beside: Math.max(...call.members.map(({ dims }) => dims.R ?? 0)),
      }
      : undefined,
  flops: (call) => 2 * dimOf(call, "T") * dimOf(call, "K") * widths(call).reduce((a, b) => a + b),
  context: (call) => ({
    members: call.members.map((member, at) => memberContext(call, { member, at })),
    paca: call.members.some(({ node }) => node.op === "paca_linear_backward_input"),
    residual: operandOf(call, "residual") !== undefined,
  }),
});

/** What the template is told of a member. */
function memberContext(
  { members }: KernelCall,
  { member: { node, dims }, at }: { readonly member: Member; readonly at: number },
): Readonly<Record<string, unknown>> {
  return {
    suffix: members.length === 1 ? "" : `_${at}`,
    first: at === 0,
    paca: node.op === "paca_linear_backward_input",
    out: dims.O,
    rank: dims.R ?? 0,
    scale: node.attributes.scale ?? 1,
  };
}

function widths(call: KernelCall): number[] {
  return call.members.map(({ dims }) => dims.O);
}
