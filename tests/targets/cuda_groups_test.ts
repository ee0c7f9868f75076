/**
 * Groups of the cuda target on ragged extents, adapted and plain members of different widths, in the emulator against the float64
 * interpreter: linears that read one x, gradients that are only added up with a residual, and what is done behind a product (heads
 * rotated, gated units both ways). A member that takes another's columns is
 * seen in the numbers.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { elements, Graph, type Tensor } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { linear, linearBackwardInput } from "../../src/ops/linear.ts";
import { apply } from "../../src/ops/op.ts";
import { rope } from "../../src/ops/rope.ts";
import { swiglu, swigluBackward } from "../../src/ops/swiglu.ts";
import { pacaLinear, pacaLinearBackwardInput } from "../../src/ops/paca_linear.ts";
import { cudaTarget } from "../../src/targets/cuda/mod.ts";
import type { Kernel, KernelCall, Tunables } from "../../src/targets/target.ts";
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
  if (name.startsWith("index")) {
    const first = name === "index_up" ? 3 : 2;
    return Int32Array.from({ length: count }, (_, j) => first + 4 * j);
  }
  if (name.startsWith("position")) return Int32Array.from({ length: count }, (_, t) => T - 1 - t);
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

/** Heads of the ragged widths that are rotated. */
const HEAD = 32;

interface Projection {
  readonly name: string;
  readonly out: number;
  readonly rank: number;
  readonly bias?: boolean;
  /** Its heads are rotated. */
  readonly rope?: boolean;
}

/** Adds x Wᵀ with PaCA's columns, bias and rotation; its result is an output of the graph where nothing else reads it. */
function project(graph: Graph, x: Tensor, one: Projection, role: "output" | "activation"): Tensor {
  const { name, out, rank, bias = false, rope: turned = false } = one;
  const tensor = (name: string, shape: number[], dtype: "bf16" | "f32" | "i32" = "bf16") =>
    graph.tensor({ name, dtype, shape, role: "input" });
  const common = { phase: "forward", layer: 0 } as const;
  const y = graph.tensor({
    ...{ name, dtype: "bf16", shape: [T, out] },
    role: turned ? "activation" : role,
  });
  const inputs = {
    ...{ x, weight: tensor(`w_${name}`, [out, D]) },
    ...bias ? { bias: tensor(`bias_${name}`, [out], "f32") } : {},
  };
  if (rank === 0) {
    apply(graph, linear, { name, ...common, inputs, into: { y } });
  } else {
    const delta = tensor(`delta_${name}`, [out, rank], "f32");
    const index = tensor(`index_${name}`, [rank], "i32");
    const x_p = graph.tensor({
      ...{ name: `x_p_${name}`, dtype: "bf16", shape: [T, rank] },
      role: "output",
    });
    apply(graph, pacaLinear, {
      ...{ name, ...common, attributes: { scale: 1.5 } },
      ...{ inputs: { ...inputs, delta, index }, into: { y, x_p } },
    });
  }
  if (!turned) return y;
  const position = tensor(`position_${name}`, [T], "i32");
  const table = tensor(`table_${name}`, [T, HEAD], "f32");
  const turnedY = graph.tensor({ name: `turned_${name}`, dtype: "bf16", shape: [T, out], role });
  apply(graph, rope, {
    ...{ name: `rope_${name}`, ...common, attributes: { head_dim: HEAD, inverse: false } },
    ...{ inputs: { x: y, position, table }, into: { y: turnedY } },
  });
  return turnedY;
}

function graphOfOneX(): { readonly graph: Graph; readonly x: Tensor } {
  const graph = new Graph("fused");
  declareTrainerTensors(graph);
  return { graph, x: graph.tensor({ name: "x", dtype: "bf16", shape: [T, D], role: "input" }) };
}

/** q and k rotated, v not: each of them with another rank, k without columns. */
function rotatedHeads(): Graph {
  const { graph, x } = graphOfOneX();
  const members = [
    { name: "q", out: 160, rank: 16, rope: true, bias: true },
    { name: "k", out: 64, rank: 0, rope: true },
    { name: "v", out: 48, rank: 8, bias: true },
  ];
  for (const one of members) project(graph, x, one, "output");
  return graph;
}

/** A gated unit of `out` columns whose gate and up are adapted by these ranks; `kept`: others read gate and up, too. */
function gatedUnit(ranks: readonly [number, number], { kept = false, bias = [true, true] } = {}) {
  const { graph, x } = graphOfOneX();
  const [gate, up] = ["gate", "up"].map((name, i) =>
    project(
      graph,
      x,
      { name, out: 136, rank: ranks[i], bias: bias[i] },
      kept ? "output" : "activation",
    )
  );
  const y = graph.tensor({ name: "gated", dtype: "bf16", shape: [T, 136], role: "output" });
  apply(graph, swiglu, {
    ...{ name: "gated", phase: "forward", layer: 0 },
    ...{ inputs: { gate, up }, into: { y } },
  });
  return graph;
}

/** The gradients of a gated unit that a PaCA linear reads, made of the linear's gradient. */
function gatedBackward(): Graph {
  const graph = new Graph("fused");
  declareTrainerTensors(graph);
  const tensor = (name: string, shape: number[], dtype: "bf16" | "f32" | "i32" = "bf16") =>
    graph.tensor({ name, dtype, shape, role: "input" });
  const made = (name: string, role: "output" | "activation") =>
    graph.tensor({ name, dtype: "bf16", shape: [T, D], role });
  const common = { phase: "forward", layer: 0 } as const;
  const [out, rank] = [136, 16];
  const dx = made("dx", "activation");
  apply(graph, pacaLinearBackwardInput, {
    ...{ name: "dx", ...common, attributes: { scale: 1.5 }, into: { dx } },
    inputs: {
      ...{ dy: tensor("dy", [T, out]), weight: tensor("w", [out, D]) },
      ...{ delta: tensor("delta", [out, rank], "f32"), index: tensor("index", [rank], "i32") },
    },
  });
  apply(graph, swigluBackward, {
    ...{ name: "d_gate", ...common },
    inputs: { dy: dx, gate: tensor("gate", [T, D]), up: tensor("up", [T, D]) },
    into: { dgate: made("dgate", "output"), dup: made("dup", "output") },
  });
  return graph;
}

/** Runs a graph that is one call, holds its outputs to the interpreter's, and tells what the checker found. */
async function run(
  graph: Graph,
  options: EmulatedOptions & { readonly tiles?: Tunables } = {},
): Promise<string[]> {
  const { tiles } = options;
  const choose = (kernel: Kernel, call: KernelCall) => {
    assert.ok(tiles === undefined || kernel.legal(tiles, cudaTarget.isa, call));
    return tiles;
  };
  const plan = cudaPlan(graph, { spec: smallSpec(), vocabSize: 67, choose });
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

cudaTest(`cuda: rotated heads of a group meet the interpreter (seed ${SEED})`, async () => {
  assert.deepEqual(await run(rotatedHeads()), []);
});

const UNITS = {
  "both adapted, gate and up kept": gatedUnit([16, 8], { kept: true }),
  "both adapted, with biases": gatedUnit([8, 16]),
  "up alone adapted, gate alone with a bias": gatedUnit([0, 16], { bias: [true, false] }),
  "gate alone adapted, up alone with a bias": gatedUnit([16, 0], { bias: [false, true] }),
  "none adapted": gatedUnit([0, 0], { bias: [false, false] }),
};
for (const [what, graph] of Object.entries(UNITS)) {
  cudaTest(`cuda: a gated unit meets the interpreter: ${what} (seed ${SEED})`, async () => {
    assert.deepEqual(await run(graph), []);
  });
}

cudaTest(`cuda: gradients of a gated unit meet the interpreter (seed ${SEED})`, async () => {
  assert.deepEqual(await run(gatedBackward()), []);
});

/** Tiles of real shapes, and one whose result takes more shared memory than its stages. */
const TILES: readonly Tunables[] = [
  { bm: 128, bn: 128, bk: 32, stages: 3, warpsM: 2, warpsN: 4 },
  { bm: 128, bn: 64, bk: 32, stages: 3, warpsM: 4, warpsN: 2 },
  { bm: 256, bn: 128, bk: 32, stages: 2, warpsM: 4, warpsN: 4 },
];
for (const tiles of TILES) {
  cudaTest(
    `cuda: ${tiles.bm} x ${tiles.bn} tiles of groups with steps (seed ${SEED})`,
    async () => {
      const graphs = [rotatedHeads(), gatedUnit([16, 8], { kept: true }), gatedBackward()];
      for (const graph of graphs) assert.deepEqual(await run(graph, { tiles }), []);
    },
  );
}

/** Faults in what is done behind a product, each of which the numbers show. */
const FAULTS: readonly { graph: Graph; text: string; by: string; off: RegExp }[] = [
  { graph: rotatedHeads(), text: "+ o % kHead_0;", by: ";", off: /turned_q/ },
  { graph: gatedUnit([16, 8]), text: "j - kRank_0, kScale_1", by: "j, kScale_1", off: /gated/ },
  {
    graph: gatedUnit([16, 8]),
    text: "kThreads, kRank_0>(x_p_1",
    by: "kThreads>(x_p_1",
    off: /x_p_up/,
  },
  {
    graph: gatedBackward(),
    text: "store(dgate + at, d.first);",
    by: "store(dgate + at, d.second);",
    off: /dgate/,
  },
];
for (const { graph, text, by, off } of FAULTS) {
  cudaTest(`cuda: planted behind a product, found in the numbers: ${by}`, async () => {
    const edit = (source: string) => {
      assert.ok(source.includes(text), text);
      return source.replace(text, by);
    };
    await assert.rejects(run(graph, { edit }), off);
  });
}

cudaTest("cuda: a member whose columns are another's is found in the numbers", async () => {
  const edit = (source: string) => {
    const planted = source.replace("kPlace_0, slot_0", "kPlace_0, slot_2");
    assert.notEqual(planted, source);
    return planted;
  };
  await assert.rejects(run(sum(), { edit }), /sum/);
});
