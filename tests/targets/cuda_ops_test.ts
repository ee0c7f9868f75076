/**
 * Every op case of whole widths on the cuda target's kernels, in the emulator, against its float64 reference: numbers, and no finding.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { bindDims, shapeOf, type Values } from "../../src/ops/op.ts";
import { opOf } from "../../src/ops/mod.ts";
import type { OpCase } from "../cases/mod.ts";
import { WIDE_CASES } from "../cases/wide.ts";
import { assertClose } from "../support/compare.ts";
import { cudaPlan, type EmulatedEngine, openEmulated } from "../support/cuda_engine.ts";
import { NVCC } from "../support/nvcc.ts";
import { smallSpec } from "../support/small_model.ts";

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

const OPS = [...new Set(WIDE_CASES.map(({ op }) => op))];
const BATCH = {
  inputIds: new Int32Array(3),
  labels: new Int32Array(3),
  segmentIds: new Int32Array(3),
};

for (const op of OPS) {
  Deno.test({
    name: `cuda: ${op} meets its reference in the emulator, nothing found${
      NVCC ? "" : " (needs nvcc)"
    }`,
    ignore: NVCC === undefined,
    async fn() {
      const graph = new Graph("cases");
      declareTrainerTensors(graph);
      const cases = WIDE_CASES.filter((c) => c.op === op);
      const placed = cases.map((c, i) => place(graph, c, i));
      const engine = await openEmulated(cudaPlan(graph, { spec: smallSpec(), vocabSize: 67 }));
      placed.forEach((one) => fill(engine, one));
      await engine.forward(BATCH);
      placed.forEach((one) => judge(engine, one));
      const found = engine.launches.flatMap(({ kernel, entry, findings }) =>
        findings.map((finding) => `${kernel}${entry}: ${findingText(finding)}`)
      );
      assert.deepEqual(found.slice(0, 5), []);
    },
  });
}

interface Placed {
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
