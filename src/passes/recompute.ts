/**
 * recompute: values that backward reads but that are cheap to make again are rebuilt instead of kept.
 *
 * Needs: the differentiated graph. Gives: the same gradients with fewer kept values. Level 1 rebuilds SwiGLU's outputs, level 2 also
 * those of RMSNorm (llm.c's levels). With PaCA alone neither is kept in the first place: backward reads x_p.
 * It stands before storage, which types what is still kept.
 * @module
 */
import type { Graph, Node, Tensor } from "../graph/graph.ts";
import { apply } from "../ops/op.ts";
import { opOf } from "../ops/mod.ts";

const LEVELS: Readonly<Record<0 | 1 | 2, readonly string[]>> = {
  0: [],
  1: ["swiglu"],
  2: ["swiglu", "rms_norm"],
};

/**
 * Rebuilds what the level says in the backward phase.
 * @param graph The differentiated graph, changed in place
 * @param level 0, 1 or 2
 */
export function recompute(graph: Graph, level: 0 | 1 | 2): void {
  const rebuilt = graph.nodes.filter((node) =>
    node.phase === "forward" && LEVELS[level].includes(node.op)
  );
  for (const node of rebuilt) rebuild(graph, node);
}

function rebuild(graph: Graph, node: Node): void {
  const kept = node.outputs.y;
  const reads = (candidate: Node) =>
    candidate.phase === "backward" && Object.values(candidate.inputs).includes(kept);
  const first = graph.nodes.findIndex(reads);
  if (first < 0) return;
  const after = graph.nodes.splice(first);
  const { inputs, attributes, layer } = node;
  const { y } = apply(graph, opOf(node.op), {
    inputs,
    attributes,
    layer,
    phase: "backward",
    name: `${kept.name}.again`,
    again: true,
  });
  const replace = (tensor: Tensor) => tensor === kept ? y : tensor;
  for (const later of after) {
    const entries = Object.entries(later.inputs).map(([name, tensor]) => [name, replace(tensor)]);
    graph.nodes.push(reads(later) ? { ...later, inputs: Object.fromEntries(entries) } : later);
  }
}
