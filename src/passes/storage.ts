/**
 * storage: gives frozen matrices and kept activations the storage type of the description.
 *
 * Needs: the graph after recompute. Gives: dtypes. What only lives for a moment stays float32, as do statistics, gradients, trained
 * tensors and vectors (norm weights, biases). It stands before select, which generates code for types.
 * @module
 */
import type { Graph, Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import type { TrainSpec } from "../spec/description.ts";

/**
 * Sets the types.
 * @param graph The graph, changed in place
 * @param type The storage type
 */
export function storage(graph: Graph, type: TrainSpec["storage"]): void {
  for (const tensor of graph.tensors) {
    if (tensor.role === "weight" && tensor.shape.length > 1) tensor.dtype = type;
  }
  for (const tensor of keptActivations(graph)) tensor.dtype = type;
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
