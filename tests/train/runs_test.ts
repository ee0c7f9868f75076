/**
 * What a run survives: NaN, other data, early ends, and several checkpoints.
 * @module
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Document } from "../../src/train/data/document.ts";
import type { DataIdentity } from "../../src/train/data/identity.ts";
import { pack } from "../../src/train/data/pack.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { JsonlLogger } from "../../src/train/logger.ts";
import type { TrainOptions } from "../../src/train/loop.ts";
import { drawNormals } from "../../src/train/random.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { FakeEngine } from "./fake_engine.ts";

const documents = (stride: number): Document[] =>
  Array.from({ length: 12 }, (_, d) => ({
    ids: Int32Array.from({ length: 3 + d % 5 }, (_, t) => (d + t * stride) % 11),
    supervised: new Uint8Array(3 + d % 5).fill(1),
  }));
const data = pack(documents(3), { seqLen: 8 });
const folder = () => mkdtemp(join(tmpdir(), "pacac-runs-"));
const identity = (fingerprint: string): DataIdentity => ({
  fingerprint,
  files: [{ file: "rows.jsonl", sha256: fingerprint }],
  tokenizer: "t",
  options: "{}",
});

async function fresh(): Promise<{ engine: FakeEngine; trainer: Trainer }> {
  const engine = new FakeEngine({});
  const trainer = await loadTrainer(engine, { init: { seed: 1 }, seed: 9 });
  engine.write("embed.weight", drawNormals(2, "embed", { length: 66, deviation: 1 }));
  return { engine, trainer };
}
const state = ({ engine }: Trainer) =>
  ["parameters", "moment1", "moment2"].map((name) => [...engine.read(name)]);
async function all(trainer: Trainer, options: TrainOptions): Promise<TrainEvent[]> {
  const list: TrainEvent[] = [];
  for await (const event of trainer.train(options)) list.push(event);
  return list;
}

Deno.test("a loss that is no number stops the run and names the rows", async () => {
  const { engine, trainer } = await fresh();
  engine.beforeStep = (step) =>
    step === 2 && engine.write("head.weight", new Float32Array(66).fill(NaN));
  await rejects(all(trainer, { data, steps: 5 }), {
    code: "training-diverged",
    message: /step 2.*, on row \d+, row \d+/,
  });
});

Deno.test("--on-nan skip undoes the step, says which rows, and goes on with the next", async () => {
  const { engine, trainer } = await fresh();
  const weight = engine.read("head.weight").slice();
  let calls = 0, before: number[][] = [];
  engine.beforeStep = () => {
    calls++;
    if (calls === 3) before = state(trainer);
    if (calls === 4) deepEqual(state(trainer), before);
    engine.write("head.weight", calls === 3 ? weight.map(() => NaN) : weight);
  };
  const events = await all(trainer, { data, steps: 5, onNan: "skip" });
  const skipped = events.filter((e) => e.type === "skipped");
  deepEqual(skipped.map(({ step, rows }) => [step, rows.length]), [[2, 4]]);
  equal(calls, 6);
  equal(trainer.position, 6 * 4);
  ok(state(trainer).flat().every(Number.isFinite));
});

Deno.test("--on-nan skip gives up where every batch fails", async () => {
  const { engine, trainer } = await fresh();
  engine.write("head.weight", new Float32Array(66).fill(NaN));
  await rejects(all(trainer, { data, steps: 5, onNan: "skip" }), { code: "training-diverged" });
  equal(trainer.position, 10 * 4);
});

Deno.test("a resumed run refuses data that has changed, by file", async () => {
  const dir = await folder();
  const first = await fresh();
  const options = { data, steps: 4, schedule: { kind: "constant", warmup: 0 } } as const;
  await all(first.trainer, { ...options, steps: 2, checkpoint: dir, identity: identity("a") });
  const second = await fresh();
  await second.trainer.loadCheckpoint(dir);
  await rejects(all(second.trainer, { ...options, identity: identity("b") }), {
    code: "checkpoint-invalid",
    message: /the file has changed/,
    place: { file: "rows.jsonl" },
  });
  equal(second.trainer.stepsDone, 2);
  await all(second.trainer, { ...options, identity: identity("a") });
});

Deno.test("a resumed run refuses settings under which its steps would have been others, by field", async () => {
  const dir = await folder();
  const first = await fresh();
  const options = { data, identity: identity("a"), validation: data, learningRate: 0.01 };
  const begun = { ...options, steps: 9, validationIdentity: identity("v") };
  await all(first.trainer, { ...begun, signal: AbortSignal.abort(), checkpoint: dir });
  const stop = new AbortController();
  first.engine.beforeStep = (step) => step === 3 && stop.abort();
  await all(first.trainer, { ...begun, signal: stop.signal, checkpoint: dir });
  const cases: readonly [Partial<TrainOptions>, string][] = [
    [{ learningRate: 0.02 }, "learningRate"],
    [{ weightDecay: 0.1 }, "weightDecay"],
    [{ maxGradNorm: 0 }, "maxGradNorm"],
    [{ steps: 10 }, "steps"],
    [{ schedule: { kind: "linear" } }, "schedule"],
    [{ schedule: { warmup: { steps: 2 } } }, "schedule"],
  ];
  for (const [change, field] of cases) {
    const { trainer } = await fresh();
    await trainer.loadCheckpoint(dir);
    await rejects(all(trainer, { ...begun, ...change }), {
      code: "checkpoint-invalid",
      message: new RegExp(field),
      place: { field },
    });
    equal(trainer.stepsDone, 3);
  }
  const other = await fresh();
  await other.trainer.loadCheckpoint(dir);
  await rejects(all(other.trainer, { ...begun, validationIdentity: identity("w") }), {
    code: "checkpoint-invalid",
    place: { file: "rows.jsonl" },
  });
  await rejects(all(other.trainer, { ...options, steps: 9 }), { place: { field: "validation" } });
  await all(other.trainer, begun);
  equal(other.trainer.stepsDone, 9);
});

Deno.test("a run of a constant rate may get longer", async () => {
  const dir = await folder();
  const constant = { kind: "constant", warmup: 0 } as const;
  const begun = { data, identity: identity("a"), steps: 3, schedule: constant, checkpoint: dir };
  await all((await fresh()).trainer, begun);
  const longer = await fresh();
  await longer.trainer.loadCheckpoint(dir);
  await all(longer.trainer, { ...begun, steps: 6 });
  const whole = await fresh();
  await all(whole.trainer, { data, steps: 6, schedule: constant });
  deepEqual(state(longer.trainer), state(whole.trainer));
});

Deno.test("keep leaves the newest checkpoints, each of which can be gone back to", async () => {
  const dir = await folder();
  const { trainer } = await fresh();
  await all(trainer, { data, steps: 5, checkpoint: dir, saveEvery: 1, keep: 3 });
  const names = readdirSync(dir).filter((name) => name.endsWith(".json")).sort();
  deepEqual(names, [3, 4, 5].map((n) => `checkpoint-${n}.json`).concat("checkpoint.json"));
  equal(readdirSync(dir).filter((name) => name.startsWith("state-")).length, 3);
  const other = await fresh();
  await other.trainer.loadCheckpoint(join(dir, "checkpoint-3.json"));
  equal(other.trainer.stepsDone, 3);
  await all(other.trainer, { data, steps: 5 });
  deepEqual(state(other.trainer), state(trainer));
});

Deno.test("keep is of the run's checkpoints: the best one stays, alone in its folder", async () => {
  const validation = pack(documents(5), { seqLen: 8 });
  const [dir, best] = [await folder(), await folder()];
  const { trainer } = await fresh();
  const saving = { checkpoint: dir, best, saveEvery: 1, evaluateEvery: 2 };
  const events = await all(trainer, { data, validation, steps: 60, ...saving, keep: 2 });
  const evals = events.filter((e) => e.type === "eval");
  const lowest = evals.reduce((a, b) => b.loss < a.loss ? b : a);
  ok(lowest.step < 50, "the best one is long gone among the run's");
  const kept = await fresh();
  await kept.trainer.loadCheckpoint(best);
  equal(kept.trainer.stepsDone, lowest.step);
  equal(readdirSync(best).length, 2, "one description, one state");
  equal(readdirSync(dir).filter((name) => name.startsWith("state-")).length, 2);
});

Deno.test("patience ends the run, the best checkpoint stays, a resumed run counts on", async () => {
  // What is learnt from one rule is of no use for the other: the loss on it rises.
  const validation = pack(documents(5), { seqLen: 8 });
  const [dir, best] = [await folder(), await folder()];
  const { trainer } = await fresh();
  const options = { data, validation, steps: 200, evaluateEvery: 5, checkpoint: dir, best };
  const events = await all(trainer, { ...options, patience: 3 });
  const losses = events.filter((e) => e.type === "eval");
  const lowest = losses.reduce((a, b) => b.loss < a.loss ? b : a);
  const stopped = events.find((e) => e.type === "stopped");
  deepEqual(stopped, {
    type: "stopped",
    step: lowest.step + 15,
    loss: lowest.loss,
    bestStep: lowest.step,
  });
  const kept = await fresh();
  await kept.trainer.loadCheckpoint(best);
  equal(kept.trainer.stepsDone, lowest.step);
  const again = await fresh();
  await again.trainer.loadCheckpoint(dir);
  deepEqual(again.trainer.run.best, { loss: lowest.loss, step: lowest.step, since: 3 });
  // It is at its end: resumed, it takes no further step.
  const before = state(again.trainer);
  const resumed = await all(again.trainer, { ...options, patience: 3 });
  deepEqual(resumed.map((e) => e.type), ["start", "stopped", "done"]);
  deepEqual(state(again.trainer), before);
});

Deno.test("saveMinutes writes by the clock", async () => {
  const dir = await folder();
  const { trainer } = await fresh();
  const events = await all(trainer, { data, steps: 4, checkpoint: dir, saveMinutes: 1e-9 });
  deepEqual(events.filter((e) => e.type === "saved").map((e) => e.step), [1, 2, 3, 4]);
});

Deno.test("JsonlLogger goes on where the run does: later and broken lines go", async () => {
  const path = join(await folder(), "metrics.jsonl");
  const log = (stepsDone: number, steps: readonly number[]) => {
    using logger = new JsonlLogger(path, stepsDone);
    for (const step of steps) logger.log({ type: "saved", step, dir: "d" });
  };
  log(0, [1, 2, 3]);
  Deno.writeTextFileSync(path, '{"step": 4, "lo', { append: true });
  log(2, [3, 4]);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  deepEqual(lines.map(({ step }) => step), [1, 2, 3, 4]);
  log(0, []);
  equal(readFileSync(path, "utf8"), "");
});
