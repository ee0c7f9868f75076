/**
 * storage: gives frozen matrices and kept activations the storage type of the description.
 *
 * Needs: the graph after recompute. Gives: dtypes. What only lives for a moment gets the target's own type: float32 on a processor, whose
 * caches it hardly leaves, bf16 on a GPU. What is only multiplied with bf16 weights, by products that round it to bf16 anyway, is
 * stored so at once. Statistics, gradients, trained tensors and vectors (norm weights, biases) stay float32. It stands before select, which generates code for types.
 * @module
 */
import type { Graph, Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import type { TrainSpec } from "../spec/description.ts";

/** A type of stored values. */
export type Storage = TrainSpec["storage"];

/** The types that a description asks for. */
export type StorageTypes = Pick<TrainSpec, "storage" | "weights">;

/** What a target wants of the types. */
export interface StorageOptions {
  /** The type of activations that live for a moment, default f32. */
  readonly passing?: Storage;
  /** Whether products with a bf16 weight round what they multiply it with (they take pairs of bf16). */
  readonly pairs?: boolean;
}

/** The inputs that products with a frozen weight round, and PaCA's gradients that are made of the same ones. */
const MULTIPLIED: Readonly<Record<string, string>> = {
  linear: "x",
  paca_linear: "x",
  linear_backward_input: "dy",
  paca_linear_backward_input: "dy",
  paca_linear_backward_delta: "dy",
};

/** Whether products with weights that are stored as bf16 are all that reads a tensor, once weights have their types. */
function isMultiplied(graph: Graph, tensor: Tensor): boolean {
  const reads = graph.nodes.flatMap((node) =>
    Object.entries(node.inputs).filter(([, read]) => read === tensor).map(([name]) =>
      MULTIPLIED[node.op] === name && node.inputs.weight?.dtype !== "f32"
    )
  );
  return reads.length > 0 && reads.every((read) => read);
}

/**
 * Sets the types.
 * @param graph The graph, changed in place
 * @param types What the description asks for
 * @param options What the target wants
 */
export function storage(
  graph: Graph,
  { storage: type, weights = type }: StorageTypes,
  { passing = "f32", pairs = false }: StorageOptions = {},
): void {
  for (const tensor of graph.tensors) {
    if (tensor.role === "weight" && tensor.shape.length > 1) tensor.dtype = weights;
  }
  const free = freeActivations(graph);
  for (const tensor of free) tensor.dtype = passing;
  if (pairs) free.filter((tensor) => isMultiplied(graph, tensor)).forEach((t) => t.dtype = type);
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
