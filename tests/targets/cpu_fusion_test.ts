/**
 * Matrix products, what is summed over them and what stands beside them, against the float64 interpreter, on ragged extents and every instruction set here.
 * Outputs start as NaN; results are the same bits whatever the number of threads.
 * @module
 */
import assert from "node:assert/strict";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { apply, type Op } from "../../src/ops/op.ts";
import { add } from "../../src/ops/add.ts";
import { linear, linearBackwardInput } from "../../src/ops/linear.ts";
import { pacaLinear, pacaLinearBackwardInput } from "../../src/ops/paca_linear.ts";
import { rope } from "../../src/ops/rope.ts";
import { swiglu, swigluBackward } from "../../src/ops/swiglu.ts";
import { Interpreter } from "../../src/targets/reference/interpret.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { HERE, HERE_BF16, openPlan, planFor } from "../support/cpu_engine.ts";
import { BATCH, declareTrainerTensors } from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";

const SEED = 20260;
const TOLERANCE = { f32: 2e-5, bf16: 8e-3 } as const;
/** Tokens, width, inner width, head_dim, rank: no multiples of a vector, a strip or a panel. */
const [T, D, F, H, R] = [101, 23, 37, 6, 3];

type Storage = "f32" | "bf16";

/** A graph of forward nodes; its inputs are drawn, its outputs compared. */
class Sheet {
  readonly graph = new Graph("fusions");
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
    declareTrainerTensors(this.graph);
  }

  input(name: string, shape: number[], dtype: "i32" | "f32" | "stored" = "f32"): Tensor {
    const type = dtype === "stored" ? this.#storage : dtype;
    return this.graph.tensor({ name, dtype: type, shape, role: "input" });
  }

  output(name: string, shape: number[], dtype: "f32" | "stored" = "f32"): Tensor {
    const type = dtype === "stored" ? this.#storage : dtype;
    return this.graph.tensor({ name, dtype: type, shape, role: "output" });
  }

  run(op: Op, inputs: Record<string, Tensor>, rest: {
    attributes?: Record<string, number | boolean>;
    into?: Record<string, Tensor>;
    name?: string;
  } = {}): Record<string, Tensor> {
    return apply(this.graph, op, { name: op.name, phase: "forward", layer: 0, inputs, ...rest });
  }

  /** Weight, delta and index of an adapted linear. */
  paca(name: string, out: number, width: number): Record<string, Tensor> {
    return {
      weight: this.input(`${name}.weight`, [out, width], "stored"),
      delta: this.input(`${name}.delta`, [out, R]),
      index: this.input(`${name}.index`, [R], "i32"),
    };
  }
}

/** q adapted, with bias; k plain, of fewer heads, with bias; v plain, of a width that is no number of heads. */
function qkv(sheet: Sheet): void {
  const x = sheet.input("x", [T, D]);
  const position = sheet.input("position", [T], "i32");
  const table = sheet.input("table", [T, H]);
  const attributes = { head_dim: H, inverse: false };
  const [q, k] = [5 * H, 2 * H];
  const x_p = sheet.output("q.x_p", [T, R], "stored");
  const made = sheet.run(pacaLinear, {
    x,
    bias: sheet.input("q.bias", [q]),
    ...sheet.paca("q", q, D),
  }, { attributes: { scale: 1.5 }, into: { x_p } });
  const rotated = sheet.output("q", [T, q], "stored");
  sheet.run(rope, { x: made.y, position, table }, { attributes, into: { y: rotated } });
  const weight = sheet.input("k.weight", [k, D], "stored");
  const plain = sheet.run(linear, { x, weight, bias: sheet.input("k.bias", [k]) });
  const back = { ...attributes, inverse: true };
  const y = sheet.output("k", [T, k], "stored");
  sheet.run(rope, { x: plain.y, position, table }, { attributes: back, into: { y } });
  const v = { x, weight: sheet.input("v.weight", [19, D], "stored") };
  sheet.run(linear, v, { into: { y: sheet.output("v", [T, 19]) } });
}

/** gate and up are read by others too, then by none; the second pair has different methods and a bias. */
function gated(sheet: Sheet): void {
  for (const stored of [true, false]) {
    const name = (what: string) => `${stored ? "kept" : "passing"}.${what}`;
    const x = sheet.input(name("x"), [T, D], stored ? "stored" : "f32");
    const into = (what: string): { into?: Record<string, Tensor> } =>
      stored ? { into: { y: sheet.output(name(what), [T, F], "stored") } } : {};
    const adapted = { x, ...sheet.paca(name("g"), F, D) };
    const gate = sheet.run(pacaLinear, adapted, { attributes: { scale: 2 }, ...into("gate") }).y;
    const weight = sheet.input(name("u"), [F, D], "stored");
    const bias = stored ? {} : { bias: sheet.input(name("bias"), [F]) };
    const up = sheet.run(linear, { x, weight, ...bias }, into("up")).y;
    sheet.run(swiglu, { gate, up }, { into: { y: sheet.output(name("gated"), [T, F]) } });
  }
}

/** swiglu_backward behind dx of a layer; dx of three summed, with a residual. */
function backward(sheet: Sheet): void {
  const down = { dy: sheet.input("dy", [T, D]), ...sheet.paca("down", D, F) };
  const { dx: dy } = sheet.run(pacaLinearBackwardInput, down, { attributes: { scale: 0.5 } });
  const gate = sheet.input("gate", [T, F], "stored");
  const up = sheet.input("up", [T, F], "stored");
  const dgate = sheet.output("dgate", [T, F]);
  const dup = sheet.output("dup", [T, F]);
  sheet.run(swigluBackward, { dy, gate, up }, { into: { dgate, dup } });
  let sum = sheet.input("residual", [T, D]);
  for (const [i, out] of [19, 41, 7].entries()) {
    const inputs = { dy: sheet.input(`dy${i}`, [T, out]) };
    const { dx } = i === 1
      ? sheet.run(linearBackwardInput, { ...inputs, weight: sheet.input("w", [out, D], "stored") })
      : sheet.run(pacaLinearBackwardInput, { ...inputs, ...sheet.paca(`p${i}`, out, D) }, {
        attributes: { scale: 1 + i },
      });
    const last = i === 2 ? { into: { y: sheet.output("dx", [T, D]) } } : {};
    sum = sheet.run(add, { a: dx, b: sum }, { name: "sum", ...last }).y;
  }
}

function sheetOf(storage: Storage): Graph {
  const sheet = new Sheet(storage);
  [qkv, gated, backward].forEach((part) => part(sheet));
  return sheet.graph;
}

/** What is drawn for a tensor. */
function draw({ name, shape, dtype }: Tensor, random: () => number): Float32Array | Int32Array {
  const count = elements(shape);
  if (name.endsWith("index")) return Int32Array.of(0, 5, D - 1);
  if (name === "position") return Int32Array.from({ length: count }, () => random() * T);
  return dtype === "i32"
    ? new Int32Array(count)
    : Float32Array.from({ length: count }, () => 2 * random() - 1);
}

async function results(plan: Plan, inputs: ReadonlyMap<Tensor, Float32Array | Int32Array>) {
  const engine = await openPlan(plan);
  try {
    const outputs = plan.graph.tensors.filter(({ name, role }) =>
      role === "output" && !["loss", "norm"].includes(name)
    );
    for (const { name, shape } of outputs) {
      engine.write(name, new Float32Array(elements(shape)).fill(NaN));
    }
    for (const [{ name }, values] of inputs) engine.write(name, values);
    // As they are stored: rounded.
    const stored = new Map([...inputs].map(([tensor]) => [tensor, engine.read(tensor.name)]));
    await engine.forward(BATCH);
    return { stored, found: new Map(outputs.map((tensor) => [tensor, engine.read(tensor.name)])) };
  } finally {
    engine.dispose();
  }
}

const RUNS = [
  ...HERE.map((name) => ({ isa: ISAS[name], label: name, storage: "f32" as const })),
  ...HERE_BF16.map((one) => ({ ...one, storage: "bf16" as const })),
];

for (const { isa, label, storage } of RUNS) {
  Deno.test(`cpu ${label} ${storage}: fused products meet the interpreter (seed ${SEED})`, async () => {
    const graph = sheetOf(storage);
    const random = seeded(SEED);
    const inputs = new Map(
      graph.tensors.filter(({ role }) => role === "input").map((tensor) => [
        tensor,
        draw(tensor, random),
      ]),
    );
    const runs = [];
    for (const threads of [1, 2, 3]) {
      const plan = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads });
      // The three gradients that are summed, and their three sums, are one call.
      assert.equal(plan.calls.length, graph.nodes.length - 6 + 1);
      runs.push(await results(plan, inputs));
    }
    const interpreter = new Interpreter(graph);
    for (const [tensor, values] of runs[0].stored) interpreter.values(tensor).set(values);
    interpreter.run("forward");
    for (const [tensor, found] of runs[0].found) {
      const tolerance = TOLERANCE[storage];
      assertClose(found, interpreter.values(tensor), { tolerance, what: tensor.name });
      for (const { found: other } of runs.slice(1)) {
        assert.deepEqual(other.get(tensor), found, `${tensor.name} on another number of threads`);
      }
    }
  });
}
