/**
 * The graph behind each pass, as text beside this file; and what must hold whatever the model.
 * @module
 */
import assert from "node:assert/strict";
import { bytesOf, type Graph, type Node } from "../../src/graph/graph.ts";
import { parse } from "../../src/graph/parse.ts";
import { print } from "../../src/graph/print.ts";
import { keptActivations } from "../../src/passes/storage.ts";
import { verify } from "../../src/passes/verify.ts";
import { assertGolden } from "../support/golden_file.ts";
import { runPasses, TINY, TINY_PACA } from "../support/small_model.ts";

const FULL = { method: "full", seed: 0 } as const;

Deno.test("passes: a tiny llama with PaCA, printed after each pass", () => {
  runPasses({ storage: "bf16" }, (pass, graph) => {
    assertGolden(new URL(`./paca_${pass}.graph`, import.meta.url), print(graph));
  });
});

Deno.test("passes: a tiny llama in full, rebuilt at level 2", () => {
  const graph = runPasses({ adapt: FULL, recompute: 2 });
  assertGolden(new URL("./full_recompute_2.graph", import.meta.url), print(graph));
});

Deno.test("storage: what only products with bf16 weights read is bf16 where they round it", () => {
  const targets = ["q_proj", "down_proj"];
  const adapt = { ...TINY_PACA, targets };
  const typesOf = (adapt: typeof TINY_PACA | typeof FULL, pairs: boolean) => {
    const graph = runPasses({ storage: "bf16", adapt }, () => {}, { pairs });
    return new Map(graph.tensors.map(({ name, dtype }) => [name, dtype]));
  };
  const [apart, paired] = [false, true].map((pairs) => typesOf(adapt, pairs));
  const changed = [...paired].filter(([name, dtype]) => apart.get(name) !== dtype);
  assert.ok(changed.some(([name]) => name.includes("mlp")), "the input of down_proj");
  assert.ok(changed.every(([, dtype]) => dtype === "bf16"));
  // A weight that is trained is float32: nothing is rounded for its products.
  assert.deepEqual(typesOf(FULL, true), typesOf(FULL, false));
});

Deno.test("parse() reads back what print() wrote", () => {
  for (const options of [{}, { adapt: FULL }, { storage: "bf16" }] as const) {
    const text = print(runPasses(options));
    const again = parse(text);
    verify(again);
    assert.equal(print(again), text);
  }
});

Deno.test("parse() names the line that it cannot read", () => {
  assert.throws(
    () => parse("graph g\ninput a f32[1]\nforward: add(a=a, b=nowhere) -> ()", "x.graph"),
    {
      message: /neither a tensor nor a node/,
      place: { file: "x.graph", line: 3 },
    },
  );
});

Deno.test("differentiate: nothing runs backward below the lowest trained linear", () => {
  const targets = ["down_proj"];
  const graph = runPasses({
    config: { ...TINY, layers: 2 },
    adapt: { method: "paca", rank: 2, alpha: 2, targets, seed: 0, parametrisation: "delta" },
  });
  const backward = graph.nodes.filter((node) => node.phase === "backward");
  const lowest = backward.filter((node) => node.layer === 0).map((node) => node.op);
  assert.deepEqual(lowest, ["paca_linear_backward_delta"]);
});

Deno.test("PaCA keeps x_p of an adapted linear, not x", () => {
  const graph = runPasses();
  const kept = new Set([...keptActivations(graph)].map((tensor) => tensor.name));
  assert.ok(kept.has("model.layers.0.mlp.down_proj.out.x_p"));
  assert.ok(!kept.has("model.layers.0.gated"), "SwiGLU's output is kept");
  assert.ok(!kept.has("model.layers.0.input_layernorm.out"), "the norm's output is kept");
});

Deno.test("recompute: each level keeps less, and full fine-tuning alone has to", () => {
  const kept = ([0, 1, 2] as const).map((level) =>
    keptActivations(runPasses({ adapt: FULL, recompute: level })).size
  );
  assert.ok(kept[0] > kept[1] && kept[1] > kept[2], `${kept}`);
});

Deno.test("budget: keeps no more than it may, at any bound that can be met", () => {
  const config = { ...TINY, layers: 3 };
  for (const adapt of [TINY_PACA, FULL]) {
    const all = keptBytes(runPasses({ config, adapt }));
    for (const share of [0.9, 0.6, 0.4]) {
      const maxKeptBytes = Math.floor(all * share);
      const graph = runPasses({ config, adapt, maxKeptBytes });
      const bytes = keptBytes(graph);
      assert.ok(bytes <= maxKeptBytes, `${bytes} of ${maxKeptBytes} (${adapt.method})`);
      const again = graph.nodes.filter(({ again }) => again === true);
      assert.ok(again.length > 0 && again.every(({ phase }) => phase === "backward"));
    }
    assert.throws(() => runPasses({ config, adapt, maxKeptBytes: 1 }), {
      code: "spec-value",
      message: /backward needs/,
      place: { field: "train.maxKeptBytes" },
    });
  }
});

Deno.test("budget: rebuilds the cheapest first, and the last layers", () => {
  const config = { ...TINY, layers: 3 };
  const all = keptBytes(runPasses({ config, adapt: FULL }));
  const graph = runPasses({ config, adapt: FULL, maxKeptBytes: all - 1 });
  const again = graph.nodes.filter(({ again }) => again === true)
    .map(({ outputs }) => Object.values(outputs)[0].name);
  assert.deepEqual(again, ["model.layers.2.post_attention_layernorm.out.again"]);
});

function keptBytes(graph: Graph): number {
  return [...keptActivations(graph)].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
}

Deno.test("verify() finds planted faults", () => {
  const faults: Record<string, (graph: Graph) => void> = {
    "before it is written": (graph) => graph.nodes.reverse(),
    "should be": (graph) => {
      const shape = [3, 13];
      const y = graph.tensor({ name: "wrong", dtype: "f32", shape, role: "activation" });
      patch(graph, "swiglu", () => ({ outputs: { y } }));
    },
    "a second time": (graph) => graph.nodes.push(graph.nodes[graph.nodes.length - 2]),
    "lacks output": (graph) => patch(graph, "swiglu", () => ({ outputs: {} })),
  };
  for (const [message, plant] of Object.entries(faults)) {
    const graph = runPasses();
    plant(graph);
    assert.throws(() => verify(graph), { name: "Bug", message: new RegExp(message) });
  }
});

function patch(graph: Graph, op: string, change: () => Partial<Node>): void {
  const index = graph.nodes.findIndex((node) => node.op === op);
  graph.nodes[index] = { ...graph.nodes[index], ...change() };
}
