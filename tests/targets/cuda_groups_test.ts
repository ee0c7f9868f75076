/**
 * Groups of the cuda target on ragged extents, adapted and plain members of different widths, in the emulator against the float64
 * interpreter: linears that read one x, and gradients that are only added up with a residual. A member that takes another's columns is
 * seen in the numbers.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { linear, linearBackwardInput } from "../../src/ops/linear.ts";
import { apply } from "../../src/ops/op.ts";
import { pacaLinear, pacaLinearBackwardInput } from "../../src/ops/paca_linear.ts";
import { Interpreter } from "../../src/targets/reference/interpret.ts";
import { seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { cudaPlan, type EmulatedOptions, openEmulated } from "../support/cuda_engine.ts";
import { cudaTest } from "../support/nvcc.ts";
import { BATCH, declareTrainerTensors } from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";

const SEED = 77;
/** Tokens and width: no multiples of a tile. */
const [T, D] = [101, 72];
/** Outputs and rank of each member; rank 0: it is not adapted. */
const MEMBERS = [{ out: 24, rank: 8 }, { out: 136, rank: 0 }, { out: 72, rank: 16 }] as const;

/** residual + Σ dy_i W_i, and the graph's inputs. */
function sum(): Graph {
  const graph = new Graph("groups");
  declareTrainerTensors(graph);
  const input = (name: string, shape: number[], dtype: "bf16" | "f32" | "i32" = "bf16") =>
    graph.tensor({ name, dtype, shape, role: "input" });
  const common = { phase: "forward", layer: 0 } as const;
  const passing = (name: string) =>
    graph.tensor({ name, dtype: "bf16", shape: [T, D], role: "activation" });
  let last = input("residual", [T, D]);
  for (const [i, { out, rank }] of MEMBERS.entries()) {
    const inputs = { dy: input(`dy${i}`, [T, out]), weight: input(`w${i}`, [out, D]) };
    const into = { dx: passing(`dx${i}`) };
    if (rank === 0) {
      apply(graph, linearBackwardInput, { name: `dx${i}`, ...common, inputs, into });
    } else {
      const delta = input(`delta${i}`, [out, rank], "f32");
      const index = input(`index${i}`, [rank], "i32");
      const attributes = { scale: 1 + i };
      apply(graph, pacaLinearBackwardInput, {
        ...{ name: `dx${i}`, ...common, attributes, into },
        inputs: { ...inputs, delta, index },
      });
    }
    const y = i < MEMBERS.length - 1
      ? passing(`sum${i}`)
      : graph.tensor({ name: "sum", dtype: "bf16", shape: [T, D], role: "output" });
    apply(graph, add, { name: `sum${i}`, ...common, inputs: { a: into.dx, b: last }, into: { y } });
    last = y;
  }
  return graph;
}

/** Values of an input; columns of two members are partly the same ones. */
function draw({ name, shape, dtype }: Tensor, random: () => number): Float32Array | Int32Array {
  const count = elements(shape);
  if (name === "index0") return Int32Array.from({ length: count }, (_, j) => 3 + 8 * j);
  if (name === "index2") return Int32Array.from({ length: count }, (_, j) => 3 + 4 * j);
  if (dtype === "i32") return new Int32Array(count);
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

/** y_i = x W_iᵀ + bias_i, and x_p_i of the adapted ones. */
function apart(): Graph {
  const graph = new Graph("groups");
  declareTrainerTensors(graph);
  const tensor = (
    name: string,
    shape: number[],
    { dtype = "bf16", role = "input" }: {
      readonly dtype?: "bf16" | "f32" | "i32";
      readonly role?: "input" | "output";
    } = {},
  ) => graph.tensor({ name, dtype, shape, role });
  const x = tensor("x", [T, D]);
  for (const [i, { out, rank }] of MEMBERS.entries()) {
    const common = { name: `y${i}`, phase: "forward", layer: 0 } as const;
    const y = tensor(`y${i}`, [T, out], { role: "output" });
    const bias = i === 2 ? {} : { bias: tensor(`bias${i}`, [out], { dtype: "f32" }) };
    const inputs = { x, weight: tensor(`w${i}`, [out, D]), ...bias };
    if (rank === 0) {
      apply(graph, linear, { ...common, inputs, into: { y } });
    } else {
      const delta = tensor(`delta${i}`, [out, rank], { dtype: "f32" });
      const index = tensor(`index${i}`, [rank], { dtype: "i32" });
      const x_p = tensor(`x_p${i}`, [T, rank], { role: "output" });
      apply(graph, pacaLinear, {
        ...common,
        attributes: { scale: 1 + i },
        inputs: { ...inputs, delta, index },
        into: { y, x_p },
      });
    }
  }
  return graph;
}

/** Runs a graph that is one call, holds its outputs to the interpreter's, and tells what the checker found. */
async function run(graph: Graph, options: EmulatedOptions = {}): Promise<string[]> {
  const plan = cudaPlan(graph, { spec: smallSpec(), vocabSize: 67 });
  assert.equal(plan.calls.length, 1, "all nodes are one call");
  const engine = await openEmulated(plan, options);
  const interpreter = new Interpreter(graph);
  const random = seeded(SEED);
  for (const tensor of graph.tensors.filter(({ role }) => role === "input")) {
    engine.write(tensor.name, draw(tensor, random));
    // As they are stored: rounded.
    interpreter.values(tensor).set(engine.read(tensor.name));
  }
  await engine.forward(BATCH);
  interpreter.run("forward");
  const outputs = graph.tensors.filter(({ name, role }) =>
    role === "output" && !["loss", "norm"].includes(name)
  );
  for (const tensor of outputs) {
    const found = engine.read(tensor.name);
    assertClose(found, interpreter.values(tensor), { tolerance: 8e-3, what: tensor.name });
  }
  return engine.launches.flatMap(({ findings }) => findings.map(findingText));
}

cudaTest(`cuda: summed gradients of a group meet the interpreter (seed ${SEED})`, async () => {
  assert.deepEqual(await run(sum()), []);
});

cudaTest(`cuda: linears of one x meet the interpreter (seed ${SEED})`, async () => {
  assert.deepEqual(await run(apart()), []);
});

cudaTest("cuda: a member whose columns are another's is found in the numbers", async () => {
  const edit = (source: string) => {
    const planted = source.replace("kPlace_0, slot_0", "kPlace_0, slot_2");
    assert.notEqual(planted, source);
    return planted;
  };
  await assert.rejects(run(sum(), { edit }), /sum/);
});
