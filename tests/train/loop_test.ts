import { deepEqual, equal, notDeepEqual, ok, rejects } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Document } from "../../src/train/data/document.ts";
import { checkpointProgress } from "../../src/train/checkpoint.ts";
import { takeRows } from "../../src/train/data/order.ts";
import { pack } from "../../src/train/data/pack.ts";
import type { StepEvent, TrainEvent } from "../../src/train/events.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { drawNormals } from "../../src/train/random.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { FakeEngine, type FakeOptions } from "./fake_engine.ts";

/** Tokens count upwards in steps of `stride`, modulo 11: a rule that a bigram model can learn. */
function counting(stride: number, count = 12): Document[] {
  return Array.from({ length: count }, (_, d) => ({
    ids: Int32Array.from({ length: 3 + d % 5 }, (_, t) => (d + t * stride) % 11),
    supervised: new Uint8Array(3 + d % 5).fill(1),
  }));
}
const data = pack(counting(3), { seqLen: 8 });

async function fresh(
  options: FakeOptions = {},
  seed = 9,
): Promise<{ engine: FakeEngine; trainer: Trainer }> {
  const engine = new FakeEngine(options);
  const trainer = await loadTrainer(engine, { init: { seed: 1 }, seed });
  // Fresh embeddings are so small that little would be learnt in few steps.
  engine.write("embed.weight", drawNormals(2, "embed", { length: 66, deviation: 1 }));
  return { engine, trainer };
}
const folder = () => mkdtemp(join(tmpdir(), "pacac-loop-"));
async function all(events: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const list: TrainEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}
const steps = (events: readonly TrainEvent[]) =>
  events.filter((e): e is StepEvent => e.type === "step");
const state = ({ engine }: Trainer) =>
  ["parameters", "moment1", "moment2"].map((name) => [...engine.read(name)]);

for (const method of ["paca", "full"] as const) {
  Deno.test(`train() learns (${method}), and tells of each step`, async () => {
    const { trainer } = await fresh({ method });
    const events = await all(trainer.train({ data, steps: 60 }));
    deepEqual([events[0].type, events.at(-1)?.type, events.length], ["start", "done", 62]);
    const rates = steps(events).map((e) => e.learningRate);
    equal(Math.max(...rates), 0.1);
    equal(rates[0], 0.1 / 6);
    ok(steps(events)[59].loss < 0.7 * steps(events)[0].loss, `${steps(events)[59].loss}`);
    ok(
      steps(events).every((e, i) =>
        e.step === i + 1 && e.tokens >= e.supervised && e.supervised > 0
      ),
    );
    equal(trainer.position, 60 * 2 * 2);
  });
}

Deno.test("train() without steps is one epoch, rounded up to whole steps", async () => {
  const { trainer } = await fresh();
  equal(steps(await all(trainer.train({ data }))).length, Math.ceil(data.rows / 4));
});

for (const parametrisation of ["delta", "weight"] as const) {
  Deno.test(`a resumed run ends with the same bits as an uninterrupted one (${parametrisation})`, async () => {
    const whole = await fresh({ parametrisation });
    const options = { data, steps: 15, weightDecay: 0.1 };
    const losses = steps(await all(whole.trainer.train(options))).map((e) => e.loss);

    const dir = await folder();
    const first = await fresh({ parametrisation });
    const stop = new AbortController();
    const events: TrainEvent[] = [];
    for await (
      const event of first.trainer.train({ ...options, signal: stop.signal, checkpoint: dir })
    ) {
      events.push(event);
      if (event.type === "step" && event.step === 6) stop.abort();
    }
    deepEqual(events.slice(-2), [
      { type: "saved", step: 6, dir },
      { type: "interrupted", step: 6, steps: 15 },
    ]);

    const second = await fresh({ parametrisation }, 1234); // the checkpoint's seed counts
    await second.trainer.loadCheckpoint(dir);
    const rest = steps(await all(second.trainer.train(options)));
    deepEqual(rest.map((e) => e.loss), losses.slice(6));
    deepEqual(state(second.trainer), state(whole.trainer));
    notDeepEqual(state(first.trainer), state(whole.trainer));
  });
}

Deno.test("train() finishes the step that an abort falls into", async () => {
  const { engine, trainer } = await fresh();
  const stop = new AbortController();
  engine.beforeStep = (step) => step === 3 && stop.abort();
  const events = await all(trainer.train({ data, steps: 9, signal: stop.signal }));
  deepEqual(events.map((e) => e.type), ["start", "step", "step", "step", "interrupted"]);
});

for (const at of [4, 6]) {
  Deno.test(`an evaluation that is interrupted after step ${at} of 6 is made anew when the run goes on`, async () => {
    const validation = pack(counting(3, 9), { seqLen: 8 });
    const [wholeDir, dir] = [await folder(), await folder()];
    const options = { data, steps: 6, validation, evaluateEvery: 2, patience: 9 };
    const whole = await fresh();
    const expected = await all(whole.trainer.train({ ...options, checkpoint: wholeDir }));

    const first = await fresh();
    const stop = new AbortController();
    const onEvaluate = (done: number, total: number) => {
      ok(total > 2);
      if (first.trainer.stepsDone === at && done === 1) stop.abort();
    };
    const before = await all(
      first.trainer.train({ ...options, signal: stop.signal, checkpoint: dir, onEvaluate }),
    );
    deepEqual(before.slice(-2), [
      { type: "saved", step: at, dir },
      { type: "interrupted", step: at, steps: 6 },
    ]);
    deepEqual(checkpointProgress(dir)?.unevaluated, true);

    const second = await fresh();
    await second.trainer.loadCheckpoint(dir);
    const after = await all(second.trainer.train({ ...options, checkpoint: dir }));
    const told = (events: readonly TrainEvent[]) => events.filter(({ type }) => type === "eval");
    deepEqual([...told(before), ...told(after)], told(expected));
    deepEqual(state(second.trainer), state(whole.trainer));
    const text = (dir: string) => readFileSync(join(dir, "checkpoint.json"), "utf8");
    equal(text(dir), text(wholeDir));
  });
}

Deno.test("train() with an aborted signal takes no step", async () => {
  const { trainer } = await fresh();
  const events = await all(trainer.train({ data, steps: 9, signal: AbortSignal.abort() }));
  deepEqual(events.map((e) => e.type), ["start", "interrupted"]);
});

Deno.test("train() measures the validation set over all its tokens, and saves when it is due", async () => {
  const { trainer } = await fresh();
  const validation = pack(counting(3, 7), { seqLen: 8 });
  const dir = await folder();
  const told: string[] = [];
  const events = await all(
    trainer.train({
      ...{ data, steps: 5, validation, evaluateEvery: 2, checkpoint: dir, saveEvery: 3 },
      onEvaluate: (done, total) => told.push(`${done}/${total}`),
    }),
  );
  deepEqual(
    events.filter((e) => e.type !== "step").map((e) =>
      e.type === "done" || e.type === "start" ? e.type : `${e.type} ${e.step}`
    ),
    ["start", "eval 2", "saved 3", "eval 4", "eval 5", "saved 5", "done"],
  );
  const evals = events.filter((e) => e.type === "eval");
  ok(evals.every((e) => e.supervised === validation.stats.supervised && e.loss > 0));
  ok(evals[2].loss < evals[0].loss);
  const batches = Math.ceil(validation.rows / 2);
  const once = Array.from({ length: batches }, (_, i) => `${i + 1}/${batches}`);
  deepEqual(told, [...once, ...once, ...once]);
  // The mean is over tokens, not over batches: their sizes differ, and the last is filled up with padding.
  let sum = 0;
  for (const rows of [[0, 1], [2, 3], [4, -1]].filter(([row]) => row < validation.rows)) {
    const known = rows.map((row) => row < validation.rows ? row : -1);
    const { loss, supervised } = await trainer.evaluate(takeRows(validation, known));
    sum += loss * supervised;
  }
  ok(Math.abs(sum / validation.stats.supervised - evals[2].loss) < 1e-9);
});

Deno.test("train() stops with training-diverged at a loss that is no number, and saves nothing", async () => {
  const { engine, trainer } = await fresh();
  engine.beforeStep = (step) =>
    step === 2 && engine.write("head.weight", new Float32Array(66).fill(NaN));
  const dir = await folder();
  await rejects(all(trainer.train({ data, steps: 5, checkpoint: dir })), {
    code: "training-diverged",
    message: /step 2/,
  });
  deepEqual(readdirSync(dir), []);
});

Deno.test("train() refuses rows of another length before the first step", async () => {
  const { trainer } = await fresh();
  const long = pack(counting(3), { seqLen: 9 });
  await rejects(all(trainer.train({ data: long, steps: 1 })), {
    code: "batch-invalid",
    message: /rows of 9/,
  });
});

Deno.test("two runs write the same bytes, and a checkpoint replaces the one before", async () => {
  const dirs = [await folder(), await folder()];
  for (const dir of dirs) {
    const { trainer } = await fresh();
    await all(trainer.train({ data, steps: 4, checkpoint: dir, saveEvery: 1 }));
  }
  const [first, second] = dirs.map((dir) =>
    readdirSync(dir).sort().map((name) => [name, readFileSync(join(dir, name)).toString("hex")])
  );
  deepEqual(first, second);
  equal(first.length, 2);
});

Deno.test("loadCheckpoint() refuses other builds, missing and damaged files, and changes nothing", async () => {
  const dir = await folder();
  const { trainer } = await fresh();
  await all(trainer.train({ data, steps: 2, checkpoint: dir }));
  const other = await fresh({ hash: "fake-2" });
  const before = state(other.trainer);
  await rejects(other.trainer.loadCheckpoint(dir), {
    code: "checkpoint-invalid",
    message: /another build/,
  });
  deepEqual(state(other.trainer), before);

  const victim = await fresh();
  await rejects(victim.trainer.loadCheckpoint(join(dir, "not")), {
    code: "checkpoint-invalid",
    message: /no checkpoint/,
  });
  const file = join(dir, "checkpoint.json");
  const text = readFileSync(file, "utf8");
  await writeFile(file, text.replace(/state-[0-9a-f]+/, "../../etc/passwd"));
  await rejects(victim.trainer.loadCheckpoint(dir), { code: "checkpoint-invalid" });
  await writeFile(file, text.replace(/"step": 2/, '"step": -1'));
  await rejects(victim.trainer.loadCheckpoint(dir), { code: "checkpoint-invalid" });
  await writeFile(file, text);
  const path = join(dir, JSON.parse(text).state);
  ok(existsSync(path));
  const bytes = readFileSync(path);
  await writeFile(path, bytes.subarray(0, bytes.length - 4));
  await rejects(victim.trainer.loadCheckpoint(dir), { code: "safetensors-invalid" });
  deepEqual(state(victim.trainer), before);
  equal(victim.trainer.stepsDone, 0);
});
