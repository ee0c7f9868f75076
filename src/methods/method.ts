/**
 * What a method of adaptation is: which tensors it trains, and how it rewrites the forward graph to use them.
 * @module
 */
import type { Graph, Tensor } from "../graph/graph.ts";
import type { AdaptSpec } from "../spec/description.ts";

/** A tensor that a method trains. One that the graph holds already as a weight becomes trained itself. */
export interface Trained {
  readonly name: string;
  readonly shape: readonly number[];
  /** Name of the tensor that decay pulls to, where it is not 0. */
  readonly anchor?: string;
}

/** A method of adaptation. */
export interface Method<Spec extends AdaptSpec = AdaptSpec> {
  readonly name: Spec["method"];
  /**
   * What is trained, in a fixed order.
   * @throws {PacacError} spec-value, where the model has no such target or too few columns
   */
  readonly trained: (graph: Graph, spec: Spec) => Trained[];
  /** Rewrites the nodes; `parameter` gives trained tensors by name. */
  readonly rewrite: (graph: Graph, spec: Spec, parameter: (name: string) => Tensor) => void;
  /** Rewrites the nodes of a graph that writes text, so that what the method trained can be switched on and off. */
  readonly rewriteDecode: (graph: Graph, spec: Spec) => void;
}
