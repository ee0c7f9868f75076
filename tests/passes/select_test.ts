/**
 * What select makes of small graphs, for kernels that take other chains and groups than the cpu's own.
 * @module
 */
import assert from "node:assert/strict";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { linear, linearBackwardInput } from "../../src/ops/linear.ts";
import { apply, type Op } from "../../src/ops/op.ts";
import { rope } from "../../src/ops/rope.ts";
import { swiglu, swigluBackward } from "../../src/ops/swiglu.ts";
import { select } from "../../src/passes/select.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import type { Kernel, Target } from "../../src/targets/target.ts";

const [T, D, F] = [7, 8, 12];

/** The cpu's kernels, of which the products take what `serves` says. */
function targetWith(serves: Readonly<Record<string, Partial<Kernel["serves"]>>>): Target {
  const target = cpuTarget("plain");
  const kernels = target.kernels.map((kernel) => ({
    ...kernel,
    serves: { ...kernel.serves, ...serves[kernel.name] },
  }));
  return { ...target, kernels };
}

function input(graph: Graph, name: string, shape: number[], dtype: "f32" | "i32" = "f32"): Tensor {
  return graph.tensor({ name, dtype, shape, role: "input" });
}

function run(graph: Graph, op: Op, inputs: Record<string, Tensor>, attributes = {}) {
  return apply(graph, op, {
    ...{ inputs, attributes, name: `${op.name}.${graph.nodes.length}` },
    phase: "forward",
    layer: 0,
  });
}

/** q and k rotated, v plain, all of one x. */
function projections(): Graph {
  const graph = new Graph("projections");
  const x = input(graph, "x", [T, D]);
  const position = input(graph, "position", [T], "i32");
  const table = input(graph, "table", [T, 4]);
  for (const name of ["q", "k", "v"]) {
    const { y } = run(graph, linear, { x, weight: input(graph, name, [8, D]) });
    if (name !== "v") {
      run(graph, rope, { x: y, position, table }, { head_dim: 4, inverse: false });
    }
  }
  return graph;
}

/** gate and up of one x, gated. */
function gates(): Graph {
  const graph = new Graph("gates");
  const x = input(graph, "x", [T, D]);
  const [gate, up] = ["gate", "up"].map((name) =>
    run(graph, linear, { x, weight: input(graph, name, [F, D]) }).y
  );
  run(graph, swiglu, { gate, up });
  return graph;
}

/** What a plan's calls are: members' ops, and steps behind them. */
function calls(graph: Graph, target: Target): string[] {
  return select(graph, target).map(({ call }) =>
    [call.members.map(({ node }) => node.op).join(" "), ...call.epilogue.map(({ step }) => step)]
      .join(" + ")
  );
}

Deno.test("select: nodes that read one input become a group, each with its own step", () => {
  const together = { linear: { epilogue: [["rope"]], group: "shared_input" } } as const;
  assert.deepEqual(calls(projections(), targetWith(together)), [
    "linear linear linear + rope + rope",
  ]);
  const alone = { linear: { epilogue: [["rope"]] } } as const;
  assert.deepEqual(calls(projections(), targetWith(alone)), [
    "linear + rope",
    "linear + rope",
    "linear",
  ]);
  assert.equal(calls(projections(), cpuTarget("plain")).length, 5);
});

Deno.test("select: a step over two members needs both of them in one call", () => {
  const together = { linear: { epilogue: [["swiglu"]], group: "shared_input" } } as const;
  assert.deepEqual(calls(gates(), targetWith(together)), ["linear linear + swiglu"]);
  const alone = { linear: { epilogue: [["swiglu"]] } } as const;
  assert.deepEqual(calls(gates(), targetWith(alone)), ["linear", "linear", "swiglu"]);
});

Deno.test("select: what a second node reads is stored, so nothing stands behind it", () => {
  for (const readers of [1, 2]) {
    const graph = new Graph("down");
    const dy = input(graph, "dy", [T, D]);
    const { dx } = run(graph, linearBackwardInput, { dy, weight: input(graph, "w", [D, F]) });
    const [gate, up] = ["gate", "up"].map((name) => input(graph, name, [T, F]));
    for (let i = 0; i < readers; i++) run(graph, swigluBackward, { dy: dx, gate, up });
    const serves = { linear_backward_input: { epilogue: [["swiglu_backward"]] } } as const;
    assert.equal(calls(graph, targetWith(serves)).length, readers === 1 ? 1 : 3);
  }
});
