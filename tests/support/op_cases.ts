/**
 * Op cases as nodes of a graph that a target runs: placed, filled, and judged by their float64 references.
 * @module
 */
import assert from "node:assert/strict";
import { elements, type Graph, type Tensor } from "../../src/graph/graph.ts";
import { opOf } from "../../src/ops/mod.ts";
import { bindDims, shapeOf, type Values } from "../../src/ops/op.ts";
import type { Engine } from "../../src/train/engine.ts";
import type { OpCase } from "../cases/mod.ts";
import { assertClose } from "./compare.ts";

/** bf16: half a unit in the last of its 8 bits, and room for sums; gpu: their operands too. */
const TOLERANCE = { f32: 2e-5, bf16: 8e-3, gpu: 1e-2 } as const;
/** Operands that may be stored as bf16. */
const STORED = [
  ...["x", "weight", "q", "k", "v", "gate", "up", "x_p", "y", "a", "b"],
  ...["keys", "values"],
];

/** Operands that stay float32 on a GPU too, beside vectors and what is added to. */
const FLOAT = [
  ...["delta", "bias", "table", "inverse_rms", "lse", "loss_scale", "losses"],
  ...["hyper", "norm", "logits"],
];

/** Type of what may be stored as either; `gpu`: bf16 for all but what stays float32 there. */
export type Storage = "f32" | "bf16" | "gpu";

function dtypeOf(name: string, vector: boolean, storage: Storage): "f32" | "bf16" {
  if (vector || storage === "f32") return "f32";
  const stored = storage === "gpu" ? !FLOAT.includes(name) && !added(name) : STORED.includes(name);
  return stored ? "bf16" : "f32";
}

/** A batch for the tensors that the engine itself fills. */
export const BATCH = {
  inputIds: new Int32Array(3),
  labels: new Int32Array(3),
  segmentIds: new Int32Array(3),
};

/** A case in a graph. */
export interface Placed {
  readonly c: OpCase;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/**
 * Adds what the engine itself reads and writes; no case does.
 * @param graph A new graph
 */
export function declareTrainerTensors(graph: Graph): void {
  const T = BATCH.labels.length;
  for (const name of ["input_ids", "labels", "segment_ids"]) {
    graph.tensor({ name, dtype: "i32", shape: [T], role: "input" });
  }
  for (const [name, extent] of [["loss_scale", 1], ["hyper", 5]] as const) {
    graph.tensor({ name, dtype: "f32", shape: [extent], role: "input" });
  }
  graph.tensor({ name: "rows", dtype: "i32", shape: [1], role: "input" });
  for (const name of ["loss", "norm"]) {
    graph.tensor({ name, dtype: "f32", shape: [1], role: "output" });
  }
  graph.tensor({ name: "gradients", dtype: "f32", shape: [1], role: "gradient" });
}

/**
 * Whether a case has operands that may be stored as bf16.
 * @param c The case
 */
export function takesBf16(c: OpCase): boolean {
  return opOf(c.op).inputs.some(({ name }) => STORED.includes(name));
}

/**
 * Adds a case's tensors and node.
 * @param graph Where to
 * @param c The case
 * @param options Its number, of which its tensors are named, and storage
 */
export function placeCase(
  graph: Graph,
  c: OpCase,
  { i, storage }: { readonly i: number; readonly storage: Storage },
): Placed {
  const op = opOf(c.op);
  const dims = bindDims(op, c.shapes, c.attributes);
  const inputs: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(c.inputs)) {
    const dtype = dtypeOf(name, c.shapes[name].length === 1, storage);
    inputs[name] = graph.tensor({
      name: `${i}.${name}`,
      dtype: values instanceof Int32Array ? "i32" : dtype,
      shape: c.shapes[name],
      role: "input",
    });
  }
  const outputs: Record<string, Tensor> = {};
  for (const operand of op.outputs) {
    if (operand.optional && !c.outputs.includes(operand.name)) continue;
    const inPlace = operand.name.replace(/^new_/, "");
    outputs[operand.name] = inPlace !== operand.name ? inputs[inPlace] : graph.tensor({
      name: `${i}.out.${operand.name}`,
      dtype: op.types?.[operand.name] ?? outputType(operand.name, storage),
      shape: shapeOf(operand, dims),
      role: added(operand.name) ? "gradient" : "output",
    });
  }
  graph.node({
    op: c.op,
    inputs,
    outputs,
    attributes: c.attributes,
    phase: "forward",
    layer: -1,
  });
  return { c, inputs, outputs };
}

/** On a processor only forward's results are stored; what backward makes passes by in float32. */
function outputType(name: string, storage: Storage): "f32" | "bf16" {
  if (storage === "bf16" && !["y", "x_p"].includes(name)) return "f32";
  return dtypeOf(name, false, storage);
}

/** Gradients of trained tensors are added to; all else is overwritten. */
function added(output: string): boolean {
  return ["dweight", "dbias", "ddelta"].includes(output);
}

/**
 * Gives a case's inputs their values, rounded as they are stored; outputs start as NaN, sums as 0.5.
 * @param engine The engine of the case's graph
 * @param placed The case
 * @param storage As it was placed
 */
export function fillCase(
  engine: Engine,
  { c, inputs, outputs }: Placed,
  storage: Storage,
): void {
  for (const [name, tensor] of Object.entries(outputs)) {
    if (name.startsWith("new_") || tensor.dtype === "i32") continue;
    // The emulator knows what was never written, and starts it as NaN by itself.
    if (storage === "gpu" && !added(name)) continue;
    const start = added(name) ? 0.5 : NaN;
    engine.write(tensor.name, new Float32Array(elements(tensor.shape)).fill(start));
  }
  for (const [name, values] of Object.entries(c.inputs)) {
    const plain = values instanceof Int32Array ? values : Float32Array.from(values);
    engine.write(inputs[name].name, plain);
    if (storage !== "f32" && !(values instanceof Int32Array)) {
      values.set(engine.read(inputs[name].name));
    }
  }
}

/**
 * Fails unless a case's outputs are what the op's reference gives.
 * @param engine An engine that has run the case
 * @param placed The case
 * @param storage As it was placed
 */
export function judgeCase(engine: Engine, { c, outputs }: Placed, storage: Storage): void {
  const op = opOf(c.op);
  const dims = bindDims(op, c.shapes, c.attributes);
  const expected: Record<string, Values> = {};
  for (const operand of op.outputs.filter(({ name }) => name in outputs)) {
    const count = elements(shapeOf(operand, dims));
    expected[operand.name] = op.types?.[operand.name] === "i32"
      ? new Int32Array(count)
      : new Float64Array(count).fill(added(operand.name) ? 0.5 : 0);
  }
  op.reference(c.inputs, expected, c.attributes, dims);
  for (const [name, values] of Object.entries(expected)) {
    const found = engine.read(outputs[name].name);
    if (values instanceof Int32Array) assert.deepEqual(found, values, `${c.name}: ${name}`);
    else {
      assertClose(found, values, { tolerance: TOLERANCE[storage], what: `${c.name}: ${name}` });
    }
  }
}
