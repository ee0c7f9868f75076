/**
 * storage: gives frozen matrices and kept activations the storage type of the description.
 *
 * Needs: the graph after recompute. Gives: dtypes. What only lives for a moment gets the target's own type: float32 on a processor, whose
 * caches it hardly leaves, bf16 on a GPU. Statistics, gradients, trained tensors and vectors (norm weights, biases) stay float32. It stands before select, which generates code for types.
 * @module
 */
import type { Graph, Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import type { TrainSpec } from "../spec/description.ts";

/** A type of stored values. */
export type Storage = TrainSpec["storage"];

/**
 * Sets the types.
 * @param graph The graph, changed in place
 * @param type The storage type
 * @param options `passing`: the type of activations that live for a moment, default f32
 */
export function storage(
  graph: Graph,
  type: Storage,
  { passing = "f32" }: { readonly passing?: Storage } = {},
): void {
  for (const tensor of graph.tensors) {
    if (tensor.role === "weight" && tensor.shape.length > 1) tensor.dtype = type;
  }
  for (const tensor of freeActivations(graph)) tensor.dtype = passing;
  for (const tensor of keptActivations(graph)) tensor.dtype = type;
}

/** Activations of no fixed type. */
function freeActivations(graph: Graph): Tensor[] {
  return graph.nodes.flatMap((node) => {
    const types = opOf(node.op).types ?? {};
    return Object.entries(node.outputs).filter(([name, tensor]) =>
      !(name in types) && tensor.role === "activation"
    ).map(([, tensor]) => tensor);
  });
}

/**
 * Activations that forward makes and backward reads, of no fixed type.
 * @param graph A differentiated graph
 */
export function keptActivations(graph: Graph): Set<Tensor> {
  const free = new Set<Tensor>();
  const kept = new Set<Tensor>();
  for (const node of graph.nodes) {
    if (node.phase === "forward") {
      const types = opOf(node.op).types ?? {};
      for (const [name, tensor] of Object.entries(node.outputs)) {
        if (!(name in types) && tensor.role === "activation") free.add(tensor);
      }
    } else if (node.phase === "backward") {
      Object.values(node.inputs).filter((tensor) => free.has(tensor)).forEach((t) => kept.add(t));
    }
  }
  return kept;
}
