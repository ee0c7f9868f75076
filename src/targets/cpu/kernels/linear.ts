/**
 * linear, paca_linear: one matrix product; PaCA's columns are patched while W is packed, so We never exists.
 *
 * Nodes that read the same x (q, k and v; gate and up) are one product whose columns are those of all of them. Steps that need
 * several columns at once (whole heads for rope; gate and up for swiglu) run over blocks in scratch, so that sums are rounded once.
 * @module
 */
import type { EpilogueStep, FusedStep, Kernel, KernelCall, Member } from "../../target.ts";
import { dimOf, operandOf, type Product, roundUp } from "../gemm_tiles.ts";
import { productKernel } from "../product_kernel.ts";

/** y[T,O] = x[T,K] Weᵀ + bias + residual; x_p[T,R] = x[:, index]. */
export const linear: Kernel = productKernel("linear", {
  roots: ["linear", "paca_linear"],
  epilogue: [["add"], ["rope"], ["swiglu"]],
  group: "shared_input",
  product: productOf,
  flops: (call) => 2 * dimOf(call, "T") * dimOf(call, "K") * sum(widths(call)),
  blocked,
  context: (call) => {
    const swiglu = stepOf(call, "swiglu");
    return {
      members: call.members.map((member, at) => memberContext(call, { member, at })),
      paca: call.members.some(({ node }) => node.op === "paca_linear"),
      residual: operandOf(call, "residual") !== undefined,
      blocked: blocked(call),
      swiglu: swiglu !== undefined,
      widths: widths(call).join(", "),
    };
  },
});

/** What the template is told of a member. */
function memberContext(
  call: KernelCall,
  { member: { node, dims }, at }: { readonly member: Member; readonly at: number },
): Readonly<Record<string, unknown>> {
  const suffix = call.members.length === 1 ? "" : `_${at}`;
  const has = (name: string) =>
    operandOf(call, suffix === "" ? name : `${name}.${at}`) !== undefined;
  const rope = stepOf(call, "rope", at)?.node.attributes;
  return {
    suffix,
    paca: node.op === "paca_linear",
    bias: has("bias"),
    stored: has("y"),
    out: dims.O,
    rank: dims.R ?? 0,
    scale: node.attributes.scale ?? 1,
    rope: rope !== undefined,
    headDim: rope?.head_dim ?? 0,
    inverse: rope?.inverse === true,
  };
}

function productOf(call: KernelCall): Product {
  const columns = widths(call);
  const product = { m: dimOf(call, "T"), n: sum(columns), k: dimOf(call, "K") };
  if (!blocked(call)) return { ...product, whole: operandOf(call, "y")?.dtype !== "f32" };
  const heads = call.epilogue.map(({ node }) => Number(node.attributes.head_dim ?? 1));
  return {
    ...product,
    whole: true,
    units(nr) {
      const byTurns = stepOf(call, "swiglu") !== undefined;
      const unit = byTurns ? 2 * nr : heads.reduce(commonMultiple, nr);
      const padded = columns.map((width) => roundUp(width, byTurns ? nr : unit));
      return { unit, n: sum(padded) };
    },
  };
}

/** Whether blocks of sums lie in scratch: a step wants several columns at once, or columns go to several tensors. */
function blocked(call: KernelCall): boolean {
  return call.members.length > 1 || stepOf(call, "rope") !== undefined;
}

function stepOf(call: KernelCall, step: EpilogueStep, at?: number): FusedStep | undefined {
  return call.epilogue.find((fused) =>
    fused.step === step && (at === undefined || fused.member === at)
  );
}

function widths(call: KernelCall): number[] {
  return call.members.map(({ dims }) => dims.O);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function commonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return a / x * b;
}
