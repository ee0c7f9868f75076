/**
 * The graph that passes rewrite: tensors, and nodes in execution order, in three phases.
 *
 * It is flat: every layer is written out, and emission finds the repetition again. Two rules make a training
 * step expressible without aliasing tricks: (1) a tensor with role `gradient` is ADDED to by each node that
 * outputs it and zeroed at the start of a step, so gradients accumulate over micro-batches and over tied
 * weights; (2) a tensor may be a view of a range of another, so that all trained parameters are one flat
 * vector for the optimiser and many matrices for the layers.
 * @module
 */
import { invariant } from "../errors.ts";
import type { RopeScalingSpec } from "../spec/description.ts";

/** Element type of a tensor. */
export type DType = "f32" | "bf16" | "i32";

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4 };

/**
 * What a tensor is for, which decides where it lives and who fills it.
 * - weight: frozen, read-only, mapped from the model's file.
 * - parameter: trained, float32. gradient: its gradient, added to. moment: the optimiser's state.
 * - index: PaCA's columns, sorted, filled from an adapter or drawn from the seed.
 * - constant: filled once from its recipe (rotary tables).
 * - input: filled by the caller at each step. output: read by the caller.
 * - activation: lives within a step.
 * - cache: keys and values of the tokens so far, which later steps of a text add to.
 */
export type Role =
  | "weight"
  | "parameter"
  | "gradient"
  | "moment"
  | "index"
  | "constant"
  | "input"
  | "output"
  | "activation"
  | "cache";

/** How a constant's values come about (see src/graph/recipes.ts). */
export interface RopeTableRecipe {
  readonly kind: "rope_table";
  readonly seqLen: number;
  readonly headDim: number;
  readonly theta: number;
  readonly scaling: RopeScalingSpec;
}

/** A value of the graph. */
export interface Tensor {
  readonly id: number;
  /** Unique in the graph. Weights and parameters carry the name that Hugging Face files use. */
  readonly name: string;
  dtype: DType;
  readonly shape: readonly number[];
  /** Changed by the adapt pass alone, where a weight becomes trained. */
  role: Role;
  /** A range of another tensor, in elements from its start. */
  view?: { readonly base: Tensor; readonly offset: number };
  /** For role constant. */
  readonly recipe?: RopeTableRecipe;
}

/**
 * When a node runs. Training: each micro-batch forward then backward, and once a step update. Writing text: prefill for some
 * tokens of a prompt at once, decode for one token.
 */
export type Phase = "forward" | "backward" | "update" | "logits" | "prefill" | "decode";

/** Attribute values: plain data, so that a graph prints as text and parses back. */
export type Attribute = number | string | boolean;

/** An operation applied to tensors. */
export interface Node {
  readonly id: number;
  /** Name of an op in src/ops. */
  readonly op: string;
  /** Operands by the names in the op's signature. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly phase: Phase;
  /** The repeated block that the node belongs to, -1 outside. */
  readonly layer: number;
  /** Whether it makes what was made before, to save memory: such work is none of the model's. */
  readonly again?: boolean;
}

/** What {@linkcode Graph.tensor} takes. */
export interface TensorInit {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly role: Role;
  readonly view?: { readonly base: Tensor; readonly offset: number };
  readonly recipe?: RopeTableRecipe;
}

/** What {@linkcode Graph.node} takes. */
export interface NodeInit {
  readonly op: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly phase: Phase;
  readonly layer: number;
  readonly again?: boolean;
}

/** Tensors and nodes; nodes run in the order of the list. */
export class Graph {
  /** The model's name, an identifier. */
  readonly name: string;
  /** All tensors, in order of creation. */
  readonly tensors: Tensor[] = [];
  /** All nodes, in order of execution. */
  nodes: Node[] = [];
  #names = new Map<string, Tensor>();
  #nextNode = 0;

  /** @param name The model's name */
  constructor(name: string) {
    this.name = name;
  }

  /**
   * Adds a tensor.
   * @param init Its name (made unique where taken by an activation), type, shape and role
   */
  tensor(init: TensorInit): Tensor {
    let name = init.name;
    if (this.#names.has(name)) {
      invariant(init.role === "activation", `tensor ${name} exists already`);
      let n = 1;
      while (this.#names.has(`${init.name}.${n}`)) n++;
      name = `${init.name}.${n}`;
    }
    const tensor: Tensor = { ...init, name, id: this.tensors.length };
    this.tensors.push(tensor);
    this.#names.set(name, tensor);
    return tensor;
  }

  /**
   * Appends a node.
   * @param init Op, operands, attributes and phase
   */
  node(init: NodeInit): Node {
    const node: Node = { ...init, id: this.#nextNode++ };
    this.nodes.push(node);
    return node;
  }

  /**
   * The tensor of that name, if there is one.
   * @param name A tensor's name
   */
  find(name: string): Tensor | undefined {
    return this.#names.get(name);
  }

  /**
   * The tensor of that name; a bug where there is none.
   * @param name A tensor's name
   */
  get(name: string): Tensor {
    const tensor = this.#names.get(name);
    invariant(tensor !== undefined, `graph ${this.name} has no tensor ${name}`);
    return tensor;
  }
}

/**
 * Number of elements of a shape; 1 for a scalar.
 * @param shape Extents
 */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * Bytes of a tensor's values.
 * @param tensor The tensor
 */
export function bytesOf(tensor: Tensor): number {
  return elements(tensor.shape) * DTYPE_BYTES[tensor.dtype];
}
