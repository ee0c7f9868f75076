/**
 * Every gradient rule against central finite differences of the op's float64 reference.
 * @module
 */
import assert from "node:assert/strict";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { bindDims, type Operands, shapeOf, type Values } from "../../src/ops/op.ts";
import { opOf } from "../../src/ops/mod.ts";
import { verify } from "../../src/passes/verify.ts";
import { Interpreter } from "../../src/targets/reference/mod.ts";
import { CASES, type OpCase, seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";

const SMALL = 60; // inputs with more elements are probed at this many places

for (const op of new Set(CASES.map((c) => c.op))) {
  if (opOf(op).gradient === undefined || op === "lm_head_loss") continue;
  Deno.test(`${op}: gradient meets finite differences`, () => {
    CASES.filter((c) => c.op === op).forEach(checkGradient);
  });
}

Deno.test("lm_head_loss: dx and dweight are the loss's finite differences", () => {
  for (const c of CASES.filter((c) => c.op === "lm_head_loss" && c.outputs.length > 0)) {
    const scale = c.inputs.loss_scale[0];
    const total = (inputs: Operands) =>
      scale *
      Array.from(run(c, inputs).losses).reduce((sum: number, loss: number) => sum + loss, 0);
    const made = run(c, c.inputs);
    for (const [input, gradient] of [["x", made.dx], ["weight", made.dweight]] as const) {
      const probes = places(c.inputs[input].length);
      const numeric = probes.map((i) => slope(c, total, { input, i }));
      const analytic = probes.map((i) => gradient[i]);
      assertClose(analytic, numeric, { tolerance: 1e-6, what: `${c.name}: d ${input}` });
    }
  }
});

function run(c: OpCase, inputs: Operands): Record<string, Values> {
  const op = opOf(c.op);
  const dims = bindDims(op, c.shapes, c.attributes);
  const outputs = Object.fromEntries(
    op.outputs.filter(({ name, optional }) => !optional || c.outputs.includes(name)).map((o) => {
      const count = elements(shapeOf(o, dims));
      const values = op.types?.[o.name] === "i32" ? new Int32Array(count) : new Float64Array(count);
      return [o.name, values];
    }),
  );
  op.reference(inputs, outputs, c.attributes, dims);
  return outputs;
}

function places(count: number): number[] {
  if (count <= SMALL) return Array.from({ length: count }, (_, i) => i);
  const random = seeded(count);
  return Array.from({ length: SMALL }, () => Math.floor(random() * count));
}

function slope(
  c: OpCase,
  total: (inputs: Operands) => number,
  { input, i }: { readonly input: string; readonly i: number },
): number {
  const h = 1e-5;
  const moved = (by: number) => {
    const values = c.inputs[input].slice();
    values[i] += by;
    return total({ ...c.inputs, [input]: values });
  };
  return (moved(h) - moved(-h)) / (2 * h);
}

function checkGradient(c: OpCase): void {
  const op = opOf(c.op);
  const graph = new Graph("case");
  const tensor = (name: string, shape: readonly number[], values: Values, trained = false) =>
    graph.tensor({
      name,
      shape,
      dtype: values instanceof Int32Array ? "i32" : "f32",
      role: trained ? "gradient" : "input",
    });
  const inputs: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(c.inputs)) {
    inputs[name] = tensor(name, c.shapes[name], values);
  }
  const made = run(c, c.inputs);
  const dims = bindDims(op, c.shapes, c.attributes);
  const outputs: Record<string, Tensor> = {};
  const upstream: Record<string, Tensor> = {};
  const random = seeded(7);
  const weights: Record<string, Values> = {};
  for (const operand of op.outputs.filter(({ name }) => name in made)) {
    const shape = shapeOf(operand, dims);
    outputs[operand.name] = tensor(`out.${operand.name}`, shape, made[operand.name]);
    weights[operand.name] = Float64Array.from(made[operand.name], () => 2 * random() - 1);
    upstream[operand.name] = tensor(`up.${operand.name}`, shape, weights[operand.name]);
  }
  const first = op.outputs[0].name; // statistics (inverse_rms, lse) and x_p carry no gradient
  const given = new Map<string, Tensor>();
  op.gradient?.({
    graph,
    node: {
      id: 0,
      op: c.op,
      inputs,
      outputs,
      attributes: c.attributes,
      phase: "forward",
      layer: -1,
    },
    upstream: (output) => output === first ? upstream[output] : undefined,
    wanted: () => true,
    parameterGradient: (input) => {
      const gradient = tensor(`grad.${input}`, c.shapes[input], c.inputs[input], true);
      given.set(input, gradient);
      return gradient;
    },
    give: (input, gradient) => given.set(input, gradient),
  });
  verify(graph);
  const interpreter = new Interpreter(graph);
  for (const [name, values] of Object.entries(c.inputs)) {
    interpreter.values(inputs[name]).set(values);
  }
  for (const [name, values] of Object.entries(made)) interpreter.values(outputs[name]).set(values);
  for (const name of Object.keys(upstream)) interpreter.values(upstream[name]).set(weights[name]);
  interpreter.run("backward");
  assert.ok(given.size > 0, `${c.name} gives no gradient`);
  const total = (operands: Operands) =>
    Array.from(run(c, operands)[first]).reduce(
      (sum: number, y: number, i: number) => sum + y * weights[first][i],
      0,
    );
  for (const [input, gradient] of given) {
    const probes = places(c.inputs[input].length);
    const numeric = probes.map((i) => slope(c, total, { input, i }));
    const analytic = probes.map((i) => interpreter.values(gradient)[i]);
    assertClose(analytic, numeric, { tolerance: 1e-6, what: `${c.name}: d ${input}` });
  }
}
