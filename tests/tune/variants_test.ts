/**
 * The whole search space, sampled: ragged shapes of every kernel that can be tuned with random legal values meet the float64
 * references, on every instruction set here. And candidates are what they should be: legal, and distinct.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Graph, type Node } from "../../src/graph/graph.ts";
import type { IsaName } from "../../src/targets/cpu/isas.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../../src/targets/target.ts";
import { isTunable } from "../../src/tune/choose.ts";
import { spaceOf } from "../../src/tune/space.ts";
import { type Draft, makeCase } from "../cases/mod.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import {
  BATCH,
  declareTrainerTensors,
  fillCase,
  judgeCase,
  placeCase,
  takesBf16,
} from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";
import { MACHINE } from "./support.ts";

const SEED = 20260404;
/** Samples of each op; each is a kernel to compile. */
const SAMPLES = 3;

const extent = (max: number) => fc.integer({ min: 1, max });
const products = fc.record({ T: extent(70), K: extent(140), O: extent(140), R: extent(20) })
  .map((extents) => ({ ...extents, R: Math.min(extents.R, extents.K) }));
const scale = fc.constantFrom(0.5, 2);
const bias = fc.constantFrom([], ["bias"]);

const heads = fc.record({
  kv: extent(3),
  group: extent(3),
  head_dim: fc.constantFrom(4, 12, 32, 64, 80),
  seq_len: extent(90),
  rows: extent(2),
}).map(({ kv, group, head_dim, seq_len, rows }) => ({
  extents: { T: rows * seq_len, Q: kv * group * head_dim, K: kv * head_dim, H: kv * group },
  attributes: {
    heads: kv * group,
    kv_heads: kv,
    head_dim,
    scale: 1 / Math.sqrt(head_dim),
    seq_len,
  },
}));

const vocabulary = fc.record({ T: extent(70), D: extent(70), V: extent(150), C: extent(5) });

/** Drafts by op: every root of a kernel that can be tuned has a line. */
const DRAFTS: Readonly<Record<string, fc.Arbitrary<Omit<Draft, "op">>>> = {
  linear: fc.record({ extents: products, omit: bias }),
  paca_linear: fc.record({ extents: products, omit: bias, attributes: fc.record({ scale }) }),
  linear_backward_input: fc.record({ extents: products }),
  adapted_linear: fc.record({ extents: products }),
  paca_linear_backward_input: fc.record({ extents: products, attributes: fc.record({ scale }) }),
  linear_backward_weight: fc.record({ extents: products }),
  paca_linear_backward_delta: fc.record({ extents: products, attributes: fc.record({ scale }) }),
  attention: heads,
  attention_backward: heads,
  lm_head_loss: fc.record({ extents: vocabulary, outputs: fc.constantFrom([], ["dweight"]) }),
  lm_head_logits: fc.record({ extents: vocabulary }),
};

/** A case, and the numbers that its values are drawn by. */
interface Sample {
  readonly draft: Draft;
  readonly draws: readonly number[];
  readonly storage: "f32" | "bf16";
  readonly seed: number;
}

function samplesOf(kernels: readonly Kernel[], seed: number): Sample[] {
  const ops = kernels.filter(isTunable).flatMap(({ serves }) => serves.roots);
  return ops.flatMap((op, i) => {
    const draft = DRAFTS[op];
    assert.ok(draft !== undefined, `${op} can be tuned and has no line in this test`);
    const sample = fc.record({
      draft: draft.map((rest) => ({ op, ...rest })),
      draws: fc.array(fc.nat(), { minLength: 6000, maxLength: 6000 }),
      storage: fc.constantFrom("f32" as const, "bf16" as const),
      seed: fc.nat(),
    });
    return fc.sample(sample, { seed: seed + i, numRuns: SAMPLES });
  });
}

/** The first legal combination that the draws come to. */
function valuesFrom(draws: readonly number[], on: {
  readonly kernel: Kernel;
  readonly call: KernelCall;
  readonly isa: Isa;
}): Tunables {
  const { kernel, call, isa } = on;
  const entries = Object.entries(kernel.tunables);
  for (let at = 0; at + entries.length <= draws.length; at += entries.length) {
    const values = Object.fromEntries(entries.map(([name, choices], i) => [
      name,
      choices[draws[at + i] % choices.length],
    ]));
    if (kernel.legal(values, isa, call)) return values;
  }
  throw new Error(`no draw of ${kernel.name} is legal`);
}

async function run(isa: IsaName, threads: number, seed: number): Promise<void> {
  const target = cpuTarget(isa);
  const graph = new Graph("variants");
  declareTrainerTensors(graph);
  const drawsOf = new Map<Node, readonly number[]>();
  const placed = samplesOf(target.kernels, seed).map((sample, i) => {
    const c = makeCase(sample.draft, sample.seed);
    const storage = takesBf16(c) ? sample.storage : "f32";
    const one = placeCase(graph, c, { i, storage });
    drawsOf.set(graph.nodes[graph.nodes.length - 1], sample.draws);
    return { one, storage, i };
  });
  const taken: string[] = [];
  const choose = (kernel: Kernel, call: KernelCall): Tunables | undefined => {
    const draws = drawsOf.get(call.node);
    if (draws === undefined) return undefined;
    const values = valuesFrom(draws, { kernel, call, isa: target.isa });
    taken.push(JSON.stringify(values));
    return values;
  };
  const plan = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads, choose });
  const engine = await openPlan(plan);
  try {
    placed.forEach(({ one, storage }) => fillCase(engine, one, storage));
    await engine.forward(BATCH);
    for (const { one, storage, i } of placed) {
      try {
        judgeCase(engine, one, storage);
      } catch (error) {
        throw new Error(`seed ${seed}, values ${taken[i]}`, { cause: error });
      }
    }
  } finally {
    engine.dispose();
  }
}

for (const [i, isa] of HERE.entries()) {
  const seed = SEED + 1000 * i;
  Deno.test(`cpu ${isa}: random legal values meet the references (seed ${seed})`, () =>
    run(isa, 2, seed));
}

Deno.test("candidates are legal, distinct, within the scratch allowed, and sorted by prediction", () => {
  for (const isa of HERE) {
    const target = cpuTarget(isa);
    const graph = new Graph("spaces");
    declareTrainerTensors(graph);
    const samples = samplesOf(target.kernels, SEED).filter((_, i) => i % SAMPLES === 0);
    samples.forEach(({ draft, seed }, i) => {
      placeCase(graph, makeCase(draft, seed), { i, storage: "f32" });
    });
    const { calls } = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads: 2 });
    for (const { kernel, call, workspace } of calls.filter(({ kernel }) => isTunable(kernel))) {
      const allowed = {
        perThread: Math.max(workspace.perThread, 1 << 16),
        shared: workspace.shared,
      };
      const space = spaceOf(kernel, call, { isa: target.isa, machine: MACHINE, seed: 1, allowed });
      const all = [space.incumbent, ...space.others];
      assert.equal(new Set(all.map(({ text }) => text)).size, all.length, kernel.name);
      for (const { values, predicted } of all) {
        assert.ok(kernel.legal(values, target.isa, call), kernel.name);
        const { perThread, shared } = kernel.workspace(call, values, target.isa);
        assert.ok(perThread <= allowed.perThread && shared <= allowed.shared, kernel.name);
        assert.ok(predicted > 0 && predicted < Infinity, `${kernel.name} predicts ${predicted}`);
      }
      const times = space.others.map(({ predicted }) => predicted);
      assert.deepEqual(times, times.toSorted((a, b) => a - b));
      const last = space.others.at(-1);
      if (last === undefined) continue;
      const options = { isa: target.isa, machine: MACHINE, seed: 1, allowed, hints: [last.values] };
      assert.deepEqual(spaceOf(kernel, call, options).others[0], last, "what was hinted is first");
    }
  }
});
