/**
 * What the plan promises, kept: bytes of the arena, no allocation in a step, the same bits from run to run; and planted faults found.
 * @module
 */
import assert from "node:assert/strict";
import { type PlanSummary, planText, summarize } from "../../src/emit/plan_text.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { verifyPlan } from "../../src/passes/verify_plan.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { type Batch, drawColumns, drawNormals, Trainer } from "../../src/train/mod.ts";
import type { NativeEngine } from "../../src/train/native_engine.ts";
import { seeded } from "../cases/mod.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { runPasses, smallSpec, TINY } from "../support/small_model.ts";
import { MACHINE } from "../tune/support.ts";

const OPTIONS = {
  config: { ...TINY, layers: 2, hiddenSize: 24, intermediateSize: 40, headDim: 12, vocabSize: 61 },
  batch: 2,
  seqLen: 19,
  storage: "bf16",
} as const;

function smallPlan(): { graph: Graph; plan: Plan } {
  const graph = runPasses(OPTIONS);
  const spec = smallSpec(OPTIONS);
  return { graph, plan: planFor(graph, { spec, vocabSize: 61, isa: HERE[0], threads: 2 }) };
}

Deno.test("plan: what is made a second time is no operation of the model, and the plan says how much it is", () => {
  const planAt = (recompute: 0 | 2) => {
    const options = { ...OPTIONS, adapt: { method: "full", seed: 0 }, recompute } as const;
    const graph = runPasses(options);
    return planFor(graph, { spec: smallSpec(options), vocabSize: 61, isa: "plain", threads: 2 });
  };
  const [kept, rebuilt] = [planAt(0), planAt(2)];
  assert.equal(rebuilt.info.flopsPerStep, kept.info.flopsPerStep);
  const [less, more] = [kept, rebuilt].map((plan) => summarize(plan, MACHINE));
  const all = ({ flops }: PlanSummary) => flops.forward + flops.backward + flops.update;
  assert.equal(less.flopsAgain, 0);
  assert.ok(more.flopsAgain > 0);
  assert.equal(all(more), all(less) + more.flopsAgain);
  assert.match(planText(more), /^ {2}of it a second time +\d/m);
  assert.doesNotMatch(planText(less), /second time/);
});

function fill(engine: NativeEngine): Trainer {
  for (const { name, shape, role } of engine.info.tensors) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (role === "weight") {
      engine.write(name, drawNormals(7, name, { length: count, deviation: 0.2 }));
    }
    if (role === "moment") engine.write(name, new Float32Array(count));
  }
  for (const { module, indices, delta, inFeatures, outFeatures } of engine.info.adapted) {
    const { rank } = engine.info;
    engine.write(indices, drawColumns(0, module, { inFeatures, rank }));
    engine.write(delta, new Float32Array(outFeatures * rank));
  }
  return new Trainer(engine);
}

function batchOf(seed: number): Batch {
  const random = seeded(seed);
  const size = OPTIONS.batch * OPTIONS.seqLen;
  const inputIds = Int32Array.from({ length: size }, () => random() * 61);
  const segmentIds = Int32Array.from(
    { length: size },
    (_, i) => i % 19 > 15 ? -1 : i % 19 > 7 ? 1 : 0,
  );
  return { inputIds, labels: inputIds.slice(), segmentIds };
}

Deno.test("plan: the arena is used to the byte, and steps allocate nothing", async () => {
  const engine = await openPlan(smallPlan().plan);
  try {
    const trainer = fill(engine);
    await trainer.step(batchOf(1));
    await trainer.evaluate(batchOf(2), { logits: true });
    for (let i = 0; i < 3; i++) await trainer.step([batchOf(3), batchOf(4)]);
    const { arenaUsed, stepAllocations } = engine.memory();
    assert.equal(arenaUsed, engine.info.arenaBytes);
    assert.equal(stepAllocations, 0);
  } finally {
    engine.dispose();
  }
});

Deno.test("determinism: two runs save the same bits", async () => {
  const { plan } = smallPlan();
  const dir = await Deno.makeTempDir({ prefix: "pacac-test-" });
  try {
    const runs: Uint8Array[][] = [];
    for (const run of ["a", "b"]) {
      const engine = await openPlan(plan);
      const trainer = fill(engine);
      for (let i = 0; i < 4; i++) await trainer.step(batchOf(i));
      for (const format of ["peft", "lora"] as const) {
        await trainer.saveAdapter(`${dir}/${run}/${format}`, { format });
      }
      await trainer.saveCheckpoint(`${dir}/${run}/checkpoint`);
      engine.dispose();
      const files = [`${dir}/${run}/peft`, `${dir}/${run}/lora`, `${dir}/${run}/checkpoint`]
        .flatMap((folder) => [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`))
        .toSorted();
      runs.push(files.map((file) => Deno.readFileSync(file)));
    }
    assert.ok(runs[0].length >= 6);
    assert.deepEqual(runs[0], runs[1]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("resume: a run that went through a checkpoint ends with the same bits", async () => {
  const { plan } = smallPlan();
  const dir = await Deno.makeTempDir({ prefix: "pacac-test-" });
  const engines = [await openPlan(plan), await openPlan(plan), await openPlan(plan)];
  try {
    const [whole, first, second] = engines.map(fill);
    for (let i = 0; i < 4; i++) await whole.step(batchOf(i));
    for (let i = 0; i < 2; i++) await first.step(batchOf(i));
    await first.saveCheckpoint(dir);
    await second.loadCheckpoint(dir);
    for (let i = 2; i < 4; i++) await second.step(batchOf(i));
    for (const name of ["parameters", "moment1", "moment2"]) {
      assert.deepEqual(engines[2].read(name), engines[0].read(name), name);
    }
  } finally {
    engines.forEach((engine) => engine.dispose());
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("verify_plan finds planted overlaps", () => {
  const { graph, plan } = smallPlan();
  const kept = plan.calls.flatMap(({ call }) => call.operands).find(({ tensor, written }) =>
    written && tensor.name === "model.layers.0.self_attn.q_proj.out.x_p"
  );
  assert.ok(kept);
  const moved = (tensor: number, offset: number) => ({
    ...plan,
    offsets: new Map(plan.offsets).set(tensor, offset),
  });
  const other = plan.offsets.get(graph.get("model.layers.1.attended").id) ?? 0;
  const parameters = plan.offsets.get(graph.get("parameters").id) ?? 0;
  // By what the error must say.
  const faults: Record<string, typeof plan> = {
    "whose bytes were written over": moved(kept.tensor.id, other),
    "over something lasting": moved(kept.tensor.id, parameters),
    "x_p over something lasting": moved(kept.tensor.id, plan.scratch.offset),
    "lies outside the arena": moved(kept.tensor.id, plan.arenaBytes),
  };
  verifyPlan(graph, plan.calls, plan);
  for (const [message, faulty] of Object.entries(faults)) {
    assert.throws(
      () => verifyPlan(graph, plan.calls, faulty),
      { name: "Bug", message: new RegExp(message) },
    );
  }
});
