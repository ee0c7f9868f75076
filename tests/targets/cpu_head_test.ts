/**
 * lm_head_loss of a frozen W in several slices of the vocabulary, by threads alone and together; and of either W for tokens that the
 * model is sure of.
 * @module
 */
import assert from "node:assert/strict";
import { Graph } from "../../src/graph/graph.ts";
import type { Isa, Kernel, Tunables } from "../../src/targets/target.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import { makeCase, type OpCase } from "../cases/mod.ts";
import { HERE, HERE_BF16, openPlan, planFor } from "../support/cpu_engine.ts";
import {
  BATCH,
  declareTrainerTensors,
  fillCase,
  judgeCase,
  placeCase,
  type Storage,
} from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";

const SHAPE = { T: 200, D: 40, V: 147 };
/** Slices of 32 of a vocabulary that is no multiple of it; several chunks of rows. */
const SLICED = { kc: 32, logits_kib: 16, rows: 128 };

interface Options {
  readonly isa: Isa;
  readonly threads: number;
  readonly storage: Storage;
  /** In the place of defaults. */
  readonly values?: Tunables;
}

/** Runs a case and holds it to the reference. */
async function run(c: OpCase, { isa, threads, storage, values = {} }: Options): Promise<number[]> {
  const graph = new Graph("head");
  declareTrainerTensors(graph);
  const placed = placeCase(graph, c, { i: 0, storage });
  const choose = (kernel: Kernel, call: Parameters<Kernel["defaults"]>[0]) => ({
    ...kernel.defaults(call, isa),
    ...values,
  });
  const plan = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads, choose });
  const engine = await openPlan(plan);
  fillCase(engine, placed, storage);
  await engine.forward(BATCH);
  judgeCase(engine, placed, storage);
  return [...engine.read(placed.outputs.dx.name)];
}

for (const { isa, label } of HERE_BF16) {
  Deno.test(`lm_head_loss in slices, threads alone and together: the same bits (${label})`, async () => {
    const c = makeCase({ op: "lm_head_loss", extents: SHAPE }, 5);
    const all: number[][] = [];
    for (const [few, threads] of [[6, 2], [256, 2], [6, 3], [256, 1]]) {
      const values = { ...SLICED, few };
      all.push(await run(c, { isa, threads, storage: "bf16", values }));
    }
    for (const other of all) assert.deepEqual(other, all[0]);
  });
}

for (const outputs of [[], ["dweight"]]) {
  const what = outputs.length === 0 ? "frozen" : "trained";
  Deno.test(`lm_head_loss, W ${what}: the gradient of a token that the model is sure of keeps its digits`, async () => {
    const extents = { T: 6, D: 40, V: 147 };
    const c = makeCase({ op: "lm_head_loss", extents, outputs }, 6);
    const { x, weight, target } = c.inputs;
    for (let t = 0; t < extents.T; t++) {
      target[t] = 20 * t;
      // The target's logit is about 20, those of the others near 0: its probability is 1 but for 1e-7.
      for (let d = 0; d < extents.D; d++) {
        x[t * extents.D + d] = Math.fround(1.5 * weight[target[t] * extents.D + d]);
      }
    }
    const isa = cpuTarget(HERE[0]).isa;
    await run(c, { isa, threads: 2, storage: "f32" });
  });
}
