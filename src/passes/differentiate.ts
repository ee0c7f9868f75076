/**
 * differentiate: backward nodes by the ops' gradient rules, in reverse, and the optimiser's nodes behind them.
 *
 * Needs: the adapted forward graph. Gives: backward and update nodes. Nothing is emitted below the lowest trained tensor, nor for frozen weights.
 * It stands before recompute and storage, which look at what backward reads.
 * @module
 */
import { must } from "../errors.ts";
import type { Graph, Node, Tensor } from "../graph/graph.ts";
import { globalNorm } from "../ops/adamw.ts";
import { add } from "../ops/add.ts";
import { apply } from "../ops/op.ts";
import { opOf } from "../ops/mod.ts";
import type { TrainSpec } from "../spec/description.ts";
import type { Adapted } from "./adapt.ts";
import { updateOf } from "./optimizer.ts";

/**
 * Adds the backward pass and the update.
 * @param graph The adapted forward graph, changed in place
 * @param adapted What is trained
 * @param optimizer The optimiser's settings
 */
export function differentiate(
  graph: Graph,
  adapted: Adapted,
  optimizer: TrainSpec["optimizer"],
): void {
  const forward = graph.nodes.filter((node) => node.phase === "forward");
  const reached = reachedByTraining(forward, adapted);
  const gradients = new Map<Tensor, Tensor>();
  for (const node of forward.toReversed()) {
    const op = opOf(node.op);
    if (op.gradient === undefined || !Object.values(node.inputs).some((x) => reached.has(x))) {
      continue;
    }
    if (node.op === "lm_head_loss") trainHead(graph, node, adapted);
    op.gradient({
      graph,
      node,
      upstream: (output) => gradients.get(node.outputs[output]),
      wanted: (input) => reached.has(node.inputs[input]),
      parameterGradient: (input) =>
        must(adapted.gradients.get(node.inputs[input]), `gradient of ${input}`),
      give: (input, gradient) => {
        const tensor = node.inputs[input];
        if (!reached.has(tensor)) return;
        gradients.set(tensor, sum(graph, node, gradient, gradients.get(tensor)));
      },
    });
  }
  update(graph, optimizer);
}

/** Tensors that depend on something trained. */
function reachedByTraining(forward: readonly Node[], adapted: Adapted): Set<Tensor> {
  const reached = new Set(adapted.gradients.keys());
  for (const node of forward) {
    if (Object.values(node.inputs).some((tensor) => reached.has(tensor))) {
      Object.values(node.outputs).forEach((tensor) => reached.add(tensor));
    }
  }
  return reached;
}

/** The sum of a tensor's gradients, emitted at once so that it can be fused behind the newest. */
function sum(graph: Graph, node: Node, newest: Tensor, before: Tensor | undefined): Tensor {
  if (before === undefined) return newest;
  const at = { phase: "backward", layer: node.layer, name: newest.name } as const;
  return apply(graph, add, { inputs: { a: newest, b: before }, ...at }).y;
}

/** The head takes its weight's gradient on the way: the forward node gets the output. */
function trainHead(graph: Graph, node: Node, adapted: Adapted): void {
  const dweight = adapted.gradients.get(node.inputs.weight);
  if (dweight === undefined) return;
  const index = graph.nodes.indexOf(node);
  graph.nodes[index] = { ...node, outputs: { ...node.outputs, dweight } };
}

function update(graph: Graph, optimizer: TrainSpec["optimizer"]): void {
  const norm = graph.tensor({ name: "norm", dtype: "f32", shape: [1], role: "output" });
  const hyper = graph.tensor({ name: "hyper", dtype: "f32", shape: [5], role: "input" });
  const { op, attributes, moments } = updateOf(optimizer);
  const [parameters, gradients] = ["parameters", "gradients"].map((name) => graph.get(name));
  const state = Object.fromEntries(moments.map((name) => [name, graph.get(name)]));
  const newState = Object.fromEntries(moments.map((name) => [`new_${name}`, graph.get(name)]));
  const anchor = graph.find("anchor");
  const at = { phase: "update", layer: -1, name: "update" } as const;
  apply(graph, globalNorm, { inputs: { gradients }, ...at, into: { norm } });
  apply(graph, op, {
    inputs: {
      parameters,
      gradients,
      ...state,
      norm,
      hyper,
      ...(anchor === undefined ? {} : { anchor }),
    },
    attributes,
    ...at,
    into: { new_parameters: parameters, ...newState },
  });
}
