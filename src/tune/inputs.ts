/**
 * What a kernel's operands are filled with while it is tried: values of the kind that a step has.
 *
 * Most are floats in [-1, 1). Integers index other tensors, so each kind of them has a line in the table below; an op with an
 * integer operand of another name needs a line too.
 * @module
 */
import { must } from "../errors.ts";
import { elements } from "../graph/graph.ts";
import type { CallOperand, KernelCall } from "../targets/target.ts";

/** How the runner fills an operand (native/tune/runner.cpp): `uniform a b`, `below a`, … */
interface Fill {
  readonly kind: "uniform" | "below" | "sorted" | "starts" | "positions";
  readonly a: number;
  readonly b: number;
}

const uniform = (a: number, b: number): Fill => ({ kind: "uniform", a, b });
const whole = (kind: Fill["kind"], a: number): Fill => ({ kind, a, b: 0 });

/** By operand name, from the call's dimensions and attributes. */
const FILLS: Readonly<Record<string, (call: KernelCall) => Fill>> = {
  // Token ids, of inputs and as targets: every token supervised.
  ids: (call) => whole("below", extent(call, "V")),
  target: (call) => whole("below", extent(call, "V")),
  labels: () => whole("below", 1),
  // PaCA's columns: distinct and sorted. Rows of which logits are wanted.
  index: (call) => whole("sorted", extent(call, "K")),
  rows: (call) => whole("below", extent(call, "T")),
  // One document for each row of the batch.
  start: (call) => whole("starts", sequence(call)),
  segment_ids: () => whole("below", 1),
  position: (call) => whole("positions", rowsOf(call, "table")),
  // Statistics and moments are above 0; gradients come small, as a mean over tokens makes them.
  inverse_rms: () => uniform(0.5, 1.5),
  moment2: () => uniform(0.1, 1),
  norm: () => uniform(0.1, 1),
  hyper: () => uniform(0.1, 1),
  loss_scale: () => uniform(1e-3, 2e-3),
};

function extent(call: KernelCall, dimension: string): number {
  return must(call.dims[dimension], `dimension ${dimension} of ${call.node.op}`);
}

function rowsOf(call: KernelCall, operand: string): number {
  const found = call.operands.find(({ name }) => name === operand);
  return must(found?.tensor.shape[0], `operand ${operand} of ${call.node.op}`);
}

function sequence(call: KernelCall): number {
  return Number(must(call.attributes["seq_len"], `seq_len of ${call.node.op}`));
}

/** What an operand is filled with; a bug where it holds integers and the table has no line for its name. */
function fillOf(call: KernelCall, operand: CallOperand): Fill {
  // Of several operands of one kind, the others are numbered: weight, weight.1.
  const known = FILLS[operand.name.replace(/\.\d+$/, "")];
  if (operand.tensor.dtype !== "i32") return known?.(call) ?? uniform(-1, 1);
  if (operand.written) return whole("below", 1);
  return must(known, `a fill for integer operand ${operand.name} of ${call.node.op}`)(call);
}

/** Bytes that the copies of a call's operands should have together: more than a last-level cache keeps for one core. */
const ROTATED_BYTES = 64 << 20;
const MOST_COPIES = 32;

/**
 * The runner's order to make a call's operands.
 * @param call The call
 * @param seed Of the values
 * @throws {Bug} Where an operand holds integers and the table has no line for its name
 */
export function orderOf(call: KernelCall, seed: number): string[] {
  const { operands } = call;
  const bytes = operands.reduce(
    (sum, { tensor }) => sum + 4 * elements(tensor.shape),
    0,
  );
  const copies = Math.min(MOST_COPIES, Math.max(1, Math.ceil(ROTATED_BYTES / bytes)));
  const lines = operands.map((operand, i) => {
    const { tensor, written } = operand;
    const same = operands.findIndex((other) => other.tensor === tensor);
    const updated = operands.some((other) => other.tensor === tensor && !other.written);
    const start = !written ? "in" : tensor.role === "gradient" || updated ? "sum" : "poison";
    const { kind, a, b } = fillOf(call, operand);
    const alias = same < i ? same : -1;
    return [tensor.dtype, elements(tensor.shape), alias, start, kind, a, b].join(" ");
  });
  return [`call ${operands.length} ${copies} ${seed}`, ...lines];
}
