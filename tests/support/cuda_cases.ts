/**
 * Op cases on the cuda target's kernels in the emulator: a graph of nothing but the cases, filled, run and judged by the reference.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { bindDims, shapeOf, type Values } from "../../src/ops/op.ts";
import { opOf } from "../../src/ops/mod.ts";
import type { Chooser } from "../../src/passes/select.ts";
import type { Plan } from "../../src/targets/plan.ts";
import type { OpCase } from "../cases/mod.ts";
import { assertClose } from "./compare.ts";
import {
  cudaPlan,
  type EmulatedEngine,
  type EmulatedOptions,
  openEmulated,
} from "./cuda_engine.ts";
import { smallSpec } from "./small_model.ts";

/** Half a unit in the last of bf16's 8 bits, and room for sums. */
const TOLERANCE = 1e-2;
/** Operands that stay float32 on a GPU too. */
const FLOAT = [
  "delta",
  "bias",
  "table",
  "inverse_rms",
  "lse",
  "loss_scale",
  "losses",
  "hyper",
  "norm",
  "logits",
];

const BATCH = {
  inputIds: new Int32Array(3),
  labels: new Int32Array(3),
  segmentIds: new Int32Array(3),
};

/** How cases are run. */
export interface CaseOptions extends EmulatedOptions {
  /** Tuned values. */
  readonly choose?: Chooser;
}

/**
 * Runs cases, without judging.
 * @param cases The cases; their inputs are rounded to what the kernels get
 * @param options Tuned values, edits of sources
 */
export async function runCases(cases: readonly OpCase[], options: CaseOptions = {}): Promise<Ran> {
  const { plan, placed } = planCases(cases, options.choose);
  const engine = await openEmulated(plan, options);
  placed.forEach((one) => fill(engine, one));
  await engine.forward(BATCH);
  return new Ran(engine, placed);
}

/**
 * The plan of a graph that has nothing but the cases.
 * @param cases The cases
 * @param choose Tuned values
 */
export function planCases(
  cases: readonly OpCase[],
  choose?: Chooser,
): { readonly plan: Plan; readonly placed: readonly Placed[] } {
  const graph = new Graph("cases");
  declareTrainerTensors(graph);
  const placed = cases.map((c, i) => place(graph, c, i));
  return { plan: cudaPlan(graph, { spec: smallSpec(), vocabSize: 67, choose }), placed };
}

/** Cases after their run. */
export class Ran {
  readonly #placed: readonly Placed[];

  /** @param engine Where they ran @param placed Their tensors */
  constructor(readonly engine: EmulatedEngine, placed: readonly Placed[]) {
    this.#placed = placed;
  }

  /** Fails unless all outputs meet the reference; NaN fails. */
  assertNumbers(): void {
    this.#placed.forEach((one) => judge(this.engine, one));
  }

  /** What the checker found, as text. */
  findings(): string[] {
    return this.engine.launches.flatMap(({ kernel, entry, findings }) =>
      findings.map((finding) => `${kernel}${entry}: ${findingText(finding)}`)
    );
  }

  /** Fails where a number is off or anything was found. */
  assertClean(): void {
    this.assertNumbers();
    assert.deepEqual(this.findings().slice(0, 5), []);
  }
}

/** A case with its tensors. */
export interface Placed {
  readonly c: OpCase;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** What the engine itself reads and writes; no case does. */
function declareTrainerTensors(graph: Graph): void {
  for (const name of ["input_ids", "labels", "segment_ids"]) {
    graph.tensor({ name, dtype: "i32", shape: [BATCH.labels.length], role: "input" });
  }
  graph.tensor({ name: "loss_scale", dtype: "f32", shape: [1], role: "input" });
  graph.tensor({ name: "hyper", dtype: "f32", shape: [5], role: "input" });
  graph.tensor({ name: "rows", dtype: "i32", shape: [1], role: "input" });
  for (const name of ["loss", "norm"]) {
    graph.tensor({ name, dtype: "f32", shape: [1], role: "output" });
  }
  graph.tensor({ name: "gradients", dtype: "f32", shape: [1], role: "gradient" });
}

function dtypeOf(name: string, c: OpCase): "bf16" | "f32" {
  const vector = (c.shapes[name]?.length ?? 2) === 1;
  return FLOAT.includes(name) || vector || added(name) ? "f32" : "bf16";
}

function place(graph: Graph, c: OpCase, i: number): Placed {
  const op = opOf(c.op);
  const dims = bindDims(op, c.shapes, c.attributes);
  const inputs: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(c.inputs)) {
    inputs[name] = graph.tensor({
      name: `${i}.${name}`,
      dtype: values instanceof Int32Array ? "i32" : dtypeOf(name, c),
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
      dtype: op.types?.[operand.name] ?? dtypeOf(operand.name, c),
      shape: shapeOf(operand, dims),
      role: added(operand.name) ? "gradient" : "output",
    });
  }
  const { attributes } = c;
  graph.node({ op: c.op, inputs, outputs, attributes, phase: "forward", layer: -1 });
  return { c, inputs, outputs };
}

function added(output: string): boolean {
  return ["dweight", "dbias", "ddelta"].includes(output);
}

function fill(engine: EmulatedEngine, { c, inputs, outputs }: Placed): void {
  for (const [name, tensor] of Object.entries(outputs)) {
    if (added(name)) engine.write(tensor.name, new Float32Array(elements(tensor.shape)).fill(0.5));
  }
  for (const [name, values] of Object.entries(c.inputs)) {
    engine.write(
      inputs[name].name,
      values instanceof Int32Array ? values : Float32Array.from(values),
    );
    if (!(values instanceof Int32Array)) values.set(engine.read(inputs[name].name));
  }
}

function judge(engine: EmulatedEngine, { c, outputs }: Placed): void {
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
    else assertClose(found, values, { tolerance: TOLERANCE, what: `${c.name}: ${name}` });
  }
}
