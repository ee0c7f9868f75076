/**
 * Every op case on the cpu target against its float64 reference, on every instruction set here; outputs start as NaN.
 * @module
 */
import assert from "node:assert/strict";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { bindDims, shapeOf, type Values } from "../../src/ops/op.ts";
import { opOf } from "../../src/ops/mod.ts";
import type { NativeEngine } from "../../src/train/native_engine.ts";
import { CASES, type OpCase } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { BATCH, declareTrainerTensors, HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { smallSpec } from "../support/small_model.ts";

const TOLERANCE = 2e-5;
/** What a case of another type is rounded to: half a unit in the last of bf16's 8 bits, and room for sums. */
const BF16_TOLERANCE = 8e-3;
/** Operands that may be stored as bf16. */
const STORED = ["x", "weight", "q", "k", "v", "gate", "up", "x_p", "y", "a", "b"];

interface Placed {
  readonly c: OpCase;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

for (const isa of HERE) {
  for (const storage of ["f32", "bf16"] as const) {
    for (const threads of storage === "f32" ? [1, 3] : [2]) {
      Deno.test(`cpu ${isa} ${storage}, ${threads} threads: every op case meets its reference`, async () => {
        const cases = CASES.filter((c) => storage === "f32" || takesBf16(c));
        const graph = new Graph("cases");
        declareTrainerTensors(graph);
        const placed = cases.map((c, i) => placeCase(graph, c, { i, storage }));
        const plan = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads });
        const engine = await openPlan(plan);
        try {
          placed.forEach((one) => fill(engine, one, storage));
          await engine.forward(BATCH);
          placed.forEach((one) => judge(engine, one, storage));
        } finally {
          engine.dispose();
        }
      });
    }
  }
}

function takesBf16(c: OpCase): boolean {
  return opOf(c.op).inputs.some(({ name }) => STORED.includes(name));
}

function placeCase(
  graph: Graph,
  c: OpCase,
  { i, storage }: { readonly i: number; readonly storage: "f32" | "bf16" },
): Placed {
  const op = opOf(c.op);
  const dims = bindDims(op, c.shapes, c.attributes);
  const inputs: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(c.inputs)) {
    const stored = storage === "bf16" && STORED.includes(name) && c.shapes[name].length > 1;
    inputs[name] = graph.tensor({
      name: `${i}.${name}`,
      dtype: values instanceof Int32Array ? "i32" : stored ? "bf16" : "f32",
      shape: c.shapes[name],
      role: "input",
    });
  }
  const outputs: Record<string, Tensor> = {};
  for (const operand of op.outputs) {
    if (operand.optional && !c.outputs.includes(operand.name)) continue;
    const inPlace = operand.name.replace(/^new_/, "");
    const stored = storage === "bf16" && ["y", "x_p"].includes(operand.name);
    outputs[operand.name] = inPlace !== operand.name ? inputs[inPlace] : graph.tensor({
      name: `${i}.out.${operand.name}`,
      dtype: op.types?.[operand.name] ?? (stored ? "bf16" : "f32"),
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

/** Gradients of trained tensors are added to; all else is overwritten. */
function added(output: string): boolean {
  return ["dweight", "dbias", "ddelta"].includes(output);
}

function fill(engine: NativeEngine, { c, inputs, outputs }: Placed, storage: string): void {
  for (const [name, tensor] of Object.entries(outputs)) {
    if (name.startsWith("new_") || tensor.dtype === "i32") continue;
    const start = added(name) ? 0.5 : NaN;
    engine.write(tensor.name, new Float32Array(elements(tensor.shape)).fill(start));
  }
  for (const [name, values] of Object.entries(c.inputs)) {
    const plain = values instanceof Int32Array ? values : Float32Array.from(values);
    engine.write(inputs[name].name, plain);
    if (storage === "bf16" && !(values instanceof Int32Array)) {
      values.set(engine.read(inputs[name].name));
    }
  }
}

function judge(engine: NativeEngine, { c, outputs }: Placed, storage: string): void {
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
      const tolerance = storage === "bf16" ? BF16_TOLERANCE : TOLERANCE;
      assertClose(found, values, { tolerance, what: `${c.name}: ${name}` });
    }
  }
}
