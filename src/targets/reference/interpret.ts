/**
 * The interpreter: runs a graph with the ops' float64 references. It is the definition that other targets are judged by.
 * @module
 */
import { must } from "../../errors.ts";
import { elements, type Graph, type Node, type Phase, type Tensor } from "../../graph/graph.ts";
import { constantValues } from "../../graph/recipes.ts";
import { dimsOf, type Values } from "../../ops/op.ts";
import { opOf } from "../../ops/mod.ts";

/** Runs a graph's phases; every value is float64, whatever the tensor's dtype says. */
export class Interpreter {
  readonly #graph: Graph;
  readonly #values = new Map<Tensor, Values>();

  /**
   * Allocates a graph's tensors.
   * @param graph A verified graph; its constants are filled, all else is 0
   */
  constructor(graph: Graph) {
    this.#graph = graph;
    // A weight that became trained is a view of a later tensor: bases first.
    for (const tensor of graph.tensors) {
      if (tensor.view === undefined) this.#values.set(tensor, allocate(tensor));
      if (tensor.recipe !== undefined) this.values(tensor).set(constantValues(tensor.recipe));
    }
    for (const tensor of graph.tensors) {
      if (tensor.view === undefined) continue;
      const { base, offset } = tensor.view;
      const end = offset + elements(tensor.shape);
      this.#values.set(tensor, this.values(base).subarray(offset, end));
    }
  }

  /**
   * A tensor's values, live: writing into them changes the tensor.
   * @param tensor A tensor of the graph
   */
  values(tensor: Tensor): Values {
    return must(this.#values.get(tensor), `values of ${tensor.name}`);
  }

  /**
   * Runs the nodes of a phase in order.
   * @param phase The phase
   */
  run(phase: Phase): void {
    this.#graph.nodes.filter((node) => node.phase === phase).forEach((node) => this.#node(node));
  }

  #node(node: Node): void {
    const op = opOf(node.op);
    const operands = (tensors: Readonly<Record<string, Tensor>>) =>
      Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [name, this.values(tensor)]),
      );
    // Gradients are added to and optimiser state is updated in place; everything else starts at 0.
    for (const tensor of Object.values(node.outputs)) {
      if (tensor.role === "activation" || tensor.role === "output") this.values(tensor).fill(0);
    }
    op.reference(
      operands(node.inputs),
      operands(node.outputs),
      { ...node.attributes },
      dimsOf(op, node),
    );
  }
}

function allocate(tensor: Tensor): Values {
  const count = elements(tensor.shape);
  return tensor.dtype === "i32" ? new Int32Array(count) : new Float64Array(count);
}
