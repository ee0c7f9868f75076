/**
 * What an op is, as data: the signature gives shapes, documentation and checks; the reference is its definition.
 *
 * A signature reads `x[T,D], weight[D], bias?[D] -> y[T,D], inverse_rms[T]`. Upper-case names are dimensions,
 * bound by the inputs, or by `dims` from attributes; `?` marks an operand that may be absent.
 * @module
 */
import type { z } from "zod";
import type { Attribute, DType, Graph, Node, Phase, Tensor } from "../graph/graph.ts";
import { Bug, invariant } from "../errors.ts";

/** One operand of a signature. */
export interface Operand {
  readonly name: string;
  readonly dims: readonly string[];
  readonly optional: boolean;
}

/** Dimensions by name. */
export type Dims = Readonly<Record<string, number>>;

/** Values as the reference sees them: float64, or int32 for ids, indices, positions. */
export type Values = Float64Array | Int32Array;

/** Operands of a reference by name; an absent optional operand is not there. */
export type Operands = Readonly<Record<string, Values>>;

/** What one execution costs; kernels say what they move. */
export interface Cost {
  readonly flops: number;
}

/** What a gradient rule sees of the forward node, and where it adds its nodes. */
export interface GradientContext {
  readonly graph: Graph;
  readonly node: Node;
  /** Gradient of an output, or undefined where nothing depends on it. */
  readonly upstream: (output: string) => Tensor | undefined;
  /** Whether an input's gradient is wanted at all. */
  readonly wanted: (input: string) => boolean;
  /** The gradient tensor of a trained parameter (role gradient, added to). */
  readonly parameterGradient: (input: string) => Tensor;
  /** Says that `gradient` is (a further part of) an input's gradient. */
  readonly give: (input: string, gradient: Tensor) => void;
}

/** An op. */
export interface Op {
  readonly name: string;
  readonly signature: string;
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
  /** zod schema of the attributes, strict. */
  readonly attributes: z.ZodType<Record<string, Attribute>>;
  /** Dimensions that attributes give, and checks across dimensions (throws RangeError). */
  readonly dims?: (attributes: Record<string, Attribute>, bound: Dims) => Dims;
  /** Types of outputs that are fixed whatever the storage: ids, statistics, gradients. */
  readonly types?: Readonly<Record<string, DType>>;
  readonly cost: (dims: Dims, attributes: Record<string, Attribute>) => Cost;
  /**
   * The definition, in float64. Writes into `outputs`, which are allocated (zeros; for gradients: the sum so far, to be added to).
   */
  readonly reference: (
    inputs: Operands,
    outputs: Operands,
    attributes: Record<string, Attribute>,
    dims: Dims,
  ) => void;
  /** Emits the backward nodes. Absent: the op is not differentiable (ids, optimiser). */
  readonly gradient?: (context: GradientContext) => void;
}

/** What {@linkcode op} takes beside name and signature. */
export type OpDefinition = Omit<Op, "name" | "signature" | "inputs" | "outputs">;

/**
 * Defines an op.
 * @param name Its name, snake_case
 * @param signature Operands and results with their dimensions
 * @param definition The rest
 */
export function op(name: string, signature: string, definition: OpDefinition): Op {
  const [left, right] = signature.split("->");
  invariant(left !== undefined && right !== undefined, `signature of ${name} has no ->`);
  return { name, signature, ...definition, inputs: operands(left), outputs: operands(right) };
}

function operands(text: string): Operand[] {
  return [...text.matchAll(/([a-z]\w*)(\??)\[([^\]]*)\]/g)].map((match) => ({
    name: match[1] ?? "",
    optional: match[2] === "?",
    dims: (match[3] ?? "").split(",").map((dim) => dim.trim()).filter((dim) => dim !== ""),
  }));
}

/**
 * The dimensions of an application of an op.
 * @param definition The op
 * @param shapes Shape of each input by operand name
 * @param attributes The attributes
 * @throws {RangeError} Where shapes do not fit the signature
 */
export function bindDims(
  definition: Op,
  shapes: Readonly<Record<string, readonly number[]>>,
  attributes: Record<string, Attribute>,
): Dims {
  const bound: Record<string, number> = {};
  for (const operand of definition.inputs) {
    const shape = shapes[operand.name];
    if (shape === undefined) {
      if (operand.optional) continue;
      throw new RangeError(`${definition.name} needs operand ${operand.name}`);
    }
    if (shape.length !== operand.dims.length) {
      throw new RangeError(
        `${definition.name}: ${operand.name} is [${operand.dims}], got [${shape}]`,
      );
    }
    operand.dims.forEach((dim, axis) => {
      const extent = shape[axis] ?? 0;
      const literal = Number(dim);
      const expected = Number.isNaN(literal) ? bound[dim] : literal;
      if (expected !== undefined && expected !== extent) {
        throw new RangeError(
          `${definition.name}: ${operand.name} is [${operand.dims}] with ${dim} = ${expected}, got [${shape}]`,
        );
      }
      if (Number.isNaN(literal)) bound[dim] = extent;
    });
  }
  for (const name of Object.keys(shapes)) {
    if (!definition.inputs.some((operand) => operand.name === name)) {
      throw new RangeError(`${definition.name} has no operand ${name}`);
    }
  }
  return { ...bound, ...definition.dims?.(attributes, bound) };
}

/**
 * Shape of an operand under bound dimensions.
 * @param operand The operand
 * @param dims The dimensions
 */
export function shapeOf(operand: Operand, dims: Dims): number[] {
  return operand.dims.map((dim) => {
    const literal = Number(dim);
    if (!Number.isNaN(literal)) return literal;
    const extent = dims[dim];
    if (extent === undefined) throw new Bug(`dimension ${dim} of ${operand.name} is not bound`);
    return extent;
  });
}

/** What {@linkcode apply} takes. */
export interface Application {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly phase: Phase;
  readonly layer: number;
  /** Whether it makes what was made before (Node.again). */
  readonly again?: boolean;
  /** Name of the first output; others get `.operand` appended. */
  readonly name: string;
  /** Outputs that exist already (gradients, moments); optional outputs exist only when listed here. */
  readonly into?: Readonly<Record<string, Tensor>>;
}

/**
 * Adds a node that applies an op, and its output tensors.
 * @param graph Where to
 * @param definition The op
 * @param application Operands, attributes, names
 * @returns The outputs by operand name
 * @throws {RangeError} Where shapes or attributes do not fit
 */
export function apply(
  graph: Graph,
  definition: Op,
  application: Application,
): Record<string, Tensor> {
  const attributes = definition.attributes.parse(application.attributes ?? {});
  const shapes = Object.fromEntries(
    Object.entries(application.inputs).map(([name, tensor]) => [name, tensor.shape]),
  );
  const dims = bindDims(definition, shapes, attributes);
  const outputs: Record<string, Tensor> = {};
  definition.outputs.forEach((operand, index) => {
    const given = application.into?.[operand.name];
    if (given !== undefined) {
      outputs[operand.name] = given;
    } else if (!operand.optional) {
      outputs[operand.name] = graph.tensor({
        name: index === 0 ? application.name : `${application.name}.${operand.name}`,
        dtype: definition.types?.[operand.name] ?? "f32",
        shape: shapeOf(operand, dims),
        role: "activation",
      });
    }
  });
  const { inputs, phase, layer, again = false } = application;
  graph.node({
    op: definition.name,
    inputs,
    outputs,
    attributes,
    phase,
    layer,
    ...(again ? { again } : {}),
  });
  return outputs;
}

/**
 * Operations of a node.
 * @param definition The node's op
 * @param node The node
 */
export function flopsOf(definition: Op, node: Node): number {
  return definition.cost(dimsOf(definition, node), { ...node.attributes }).flops;
}

/**
 * The dimensions of a node.
 * @param definition The node's op
 * @param node The node
 */
export function dimsOf(definition: Op, node: Node): Dims {
  const shapes = Object.fromEntries(
    Object.entries(node.inputs).map(([name, tensor]) => [name, tensor.shape]),
  );
  return bindDims(definition, shapes, { ...node.attributes });
}
