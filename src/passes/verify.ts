/**
 * Verifies a graph after each pass: shapes by the ops' signatures, phases in order, every read written before.
 *
 * Needs: any graph. Gives: nothing but the certainty. It stands after every pass, so that a fault is found where it arose.
 * @module
 */
import { invariant } from "../errors.ts";
import { elements, type Graph, type Node, type Phase, type Tensor } from "../graph/graph.ts";
import { dimsOf, shapeOf } from "../ops/op.ts";
import { opOf } from "../ops/mod.ts";

/** Phases in the order in which they run. */
export const PHASES: readonly Phase[] = [
  "forward",
  "logits",
  "backward",
  "update",
  "prefill",
  "decode",
];

/**
 * Checks a graph.
 * @param graph The graph
 * @throws {Bug} With the first thing that is wrong
 */
export function verify(graph: Graph): void {
  graph.tensors.forEach(verifyView);
  const written = new Set<Tensor>();
  let phase = 0;
  for (const node of graph.nodes) {
    const at = `${graph.name}: node ${node.id} ${node.op}`;
    invariant(PHASES.indexOf(node.phase) >= phase, `${at} stands behind a later phase`);
    phase = PHASES.indexOf(node.phase);
    verifyShapes(node, at);
    for (const tensor of Object.values(node.inputs)) {
      const computed = tensor.role === "activation" || tensor.role === "output";
      invariant(
        !computed || written.has(tensor),
        `${at} reads ${tensor.name} before it is written`,
      );
    }
    for (const tensor of Object.values(node.outputs)) verifyWrite(tensor, written, at);
  }
}

function verifyView(tensor: Tensor): void {
  if (tensor.view === undefined) return;
  const { base, offset } = tensor.view;
  invariant(base.view === undefined, `${tensor.name} is a view of a view`);
  invariant(
    base.dtype === tensor.dtype && offset + elements(tensor.shape) <= elements(base.shape),
    `${tensor.name} does not lie within ${base.name}`,
  );
}

function verifyShapes(node: Node, at: string): void {
  const op = opOf(node.op);
  const dims = dimsOf(op, node);
  for (const operand of op.outputs) {
    const tensor = node.outputs[operand.name];
    invariant(tensor !== undefined || operand.optional, `${at} lacks output ${operand.name}`);
    if (tensor === undefined) continue;
    const expected = shapeOf(operand, dims);
    invariant(
      `${expected}` === `${tensor.shape}`,
      `${at}: ${operand.name} is [${tensor.shape}], should be [${expected}]`,
    );
  }
}

function verifyWrite(tensor: Tensor, written: Set<Tensor>, at: string): void {
  const once = tensor.role === "activation" || tensor.role === "output";
  const inPlace = ["gradient", "parameter", "moment", "cache"].includes(tensor.role);
  invariant(once || inPlace, `${at} writes ${tensor.name}, which is a ${tensor.role}`);
  invariant(!once || !written.has(tensor), `${at} writes ${tensor.name} a second time`);
  written.add(tensor);
}
