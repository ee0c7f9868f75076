import { deepEqual, equal, notDeepEqual, ok, rejects, throws } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "../../src/formats/mod.ts";
import { openSafetensors, readFloat32 } from "../../src/formats/safetensors.ts";
import type { Batch } from "../../src/train/engine.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { drawColumns, drawNormals } from "../../src/train/random.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { FakeEngine, type FakeOptions } from "./fake_engine.ts";

const VOCAB = 11, WIDTH = 6, RANK = 3, SCALE = 2;
const folder = () => mkdtemp(join(tmpdir(), "pacac-trainer-"));

/** Two rows: a document of 5 and one of 3; one of 4 and padding. */
function batch(change: Partial<Record<keyof Batch, [number, number]>> = {}): Batch {
  const made = {
    inputIds: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 2, 2, 2),
    labels: Int32Array.of(1, -100, 3, 4, 5, 6, 7, 8, -100, 10, 0, 1, -100, -100, -100, -100),
    segmentIds: Int32Array.of(0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1),
  };
  for (const field of ["inputIds", "labels", "segmentIds"] as const) {
    const [index, value] = change[field] ?? [];
    if (index !== undefined && value !== undefined) made[field][index] = value;
  }
  return made;
}

const embed = drawNormals(1, "e", { length: VOCAB * WIDTH, deviation: 1 });
const head = drawNormals(2, "h", { length: VOCAB * WIDTH, deviation: 1 });
const bytes = (values: Float32Array) => new Uint8Array(values.buffer.slice(0));

/** A model's folder. */
async function weightsFolder(
  tensors: Record<string, [number[], Float32Array]> = {},
): Promise<string> {
  const dir = await folder();
  const all: Record<string, [number[], Float32Array]> = {
    "embed.weight": [[VOCAB, WIDTH], embed],
    "head.weight": [[VOCAB, WIDTH], head],
    "spare.weight": [[1], Float32Array.of(7)],
    ...tensors,
  };
  const list = Object.entries(all).filter(([, [shape]]) => shape.length > 0);
  writeSafetensors(
    join(dir, "model.safetensors"),
    list.map(([name, [shape, values]]) => ({ name, shape, dtype: "F32", bytes: bytes(values) })),
  );
  await writeFile(join(dir, "config.json"), '{"model_type": "fake"}');
  await writeFile(join(dir, "tokenizer.json"), "{}");
  return dir;
}
async function loaded(
  options: FakeOptions & { adapter?: string; weights?: string } = {},
): Promise<Trainer> {
  const { adapter, weights = await weightsFolder() } = options;
  return await loadTrainer(new FakeEngine(options), {
    weights,
    ...(adapter === undefined ? {} : { adapter }),
  });
}

Deno.test("loadTrainer() loads weights, draws columns, and starts with a delta of zeros", async () => {
  const trainer = await loaded();
  deepEqual(trainer.read("embed.weight"), embed);
  deepEqual(trainer.read("head.weight"), head);
  deepEqual(
    trainer.read("head.paca_indices"),
    drawColumns(5, "head", { inFeatures: WIDTH, rank: RANK }),
  );
  deepEqual(trainer.read("head.paca_delta"), new Float32Array(VOCAB * RANK));
  equal((trainer.engine as FakeEngine).loaded.length, 2);
});

Deno.test("loadTrainer() loads trained weights of method full by their names", async () => {
  const trainer = await loaded({ method: "full" });
  deepEqual(trainer.read("head.weight"), head);
  deepEqual((trainer.engine as FakeEngine).loaded, ["embed.weight", "head.weight"]);
});

Deno.test("loadTrainer() lists what is missing and what has another shape, and frees the engine", async () => {
  const weights = await weightsFolder({
    "embed.weight": [[WIDTH, VOCAB], embed],
    "head.weight": [[], head],
  });
  const engine = new FakeEngine();
  await rejects(loadTrainer(engine, { weights }), {
    code: "weights-mismatch",
    message:
      "Cannot load the weights: embed.weight is [6,11] in place of [11,6]; head.weight is missing",
  });
  ok(engine.disposed);
});

Deno.test("loadTrainer() without weights, source and init is an error", async () => {
  await rejects(loadTrainer(new FakeEngine()), {
    code: "model-not-found",
    message: /no weights are named/,
  });
});

Deno.test("loadTrainer() makes fresh weights from a seed", async () => {
  const one = await loadTrainer(new FakeEngine(), { init: { seed: 3 } });
  const two = await loadTrainer(new FakeEngine(), { init: { seed: 3 } });
  const other = await loadTrainer(new FakeEngine(), { init: { seed: 4 } });
  deepEqual(one.read("head.weight"), two.read("head.weight"));
  notDeepEqual(one.read("head.weight"), other.read("head.weight"));
  ok(one.read("head.weight").every((x: number) => Math.abs(x) < 0.1));
});

Deno.test("anchors are what makes W0[:, idx] + s·D zero, and follow the columns", async () => {
  const trainer = await loaded({ parametrisation: "weight" });
  const check = () => {
    const anchor = trainer.read("head.paca_anchor"), indices = trainer.read("head.paca_indices");
    for (let o = 0; o < VOCAB; o++) {
      for (let r = 0; r < RANK; r++) {
        const sum = head[o * WIDTH + indices[r]] + SCALE * anchor[o * RANK + r];
        ok(Math.abs(sum) < 1e-6, `${sum}`);
      }
    }
  };
  check();
  const before = trainer.read("head.paca_anchor");
  const drawn = [...trainer.read("head.paca_indices")];
  const others = [0, 1, 2, 3, 4, 5].filter((c) => !drawn.includes(c));
  trainer.engine.info.adapted.forEach(({ indices }) =>
    trainer.write(indices, Int32Array.from(others) as never)
  );
  check();
  notDeepEqual(trainer.read("head.paca_anchor"), before);
});

Deno.test("step() counts tokens and supervised positions, and lowers the loss", async () => {
  const trainer = await loaded();
  const first = await trainer.step(batch());
  // Of the labels, those of a document's first token predict nothing: 3 + 2 + 3.
  deepEqual([first.tokens, first.supervised], [12, 8]);
  for (let i = 0; i < 20; i++) await trainer.step([batch(), batch()]);
  ok((await trainer.evaluate(batch())).loss < first.loss);
  equal(trainer.stepsDone, 21);
});

Deno.test("step() takes its settings from the description where they are not given", async () => {
  const one = await loaded(), two = await loaded(), three = await loaded();
  const { learningRate, weightDecay } = one.info.optimizer;
  await one.step(batch());
  await two.step(batch(), { learningRate, weightDecay, maxGradNorm: one.info.maxGradNorm });
  await three.step(batch(), { learningRate: learningRate / 2 });
  deepEqual(one.read("head.paca_delta"), two.read("head.paca_delta"));
  notDeepEqual(one.read("head.paca_delta"), three.read("head.paca_delta"));
});

Deno.test("gradients() agree with finite differences of the loss, and change nothing", async () => {
  const trainer = await loaded();
  trainer.write("head.paca_delta", drawNormals(8, "d", { length: VOCAB * RANK, deviation: 0.3 }));
  const start = trainer.read("head.paca_delta") as Float32Array;
  const gradients = await trainer.gradients(batch());
  deepEqual([...gradients.keys()], ["head.paca_delta"]);
  deepEqual(trainer.read("head.paca_delta"), start);
  const gradient = gradients.get("head.paca_delta") ?? new Float32Array();
  for (const i of [0, 7, 20, 32]) {
    const at = async (shift: number) => {
      trainer.write("head.paca_delta", start.map((x, j) => j === i ? x + shift : x));
      return (await trainer.evaluate(batch())).loss;
    };
    const slope = (await at(1e-2) - await at(-1e-2)) / 2e-2;
    ok(Math.abs(slope - gradient[i]) < 1e-4, `${slope} ${gradient[i]}`);
  }
});

Deno.test("evaluate() gives logits of every position in chunks, zeros at padding", async () => {
  const trainer = await loaded();
  const { logits = new Float32Array(), loss } = await trainer.evaluate(batch(), { logits: true });
  equal(logits.length, 16 * VOCAB);
  ok(logits.subarray(12 * VOCAB).every((x) => x === 0));
  const { inputIds } = batch();
  let sum = 0;
  for (const [t, label] of [[1, 3], [2, 4], [3, 5], [5, 7], [6, 8], [8, 10], [9, 0], [10, 1]]) {
    const row = logits.subarray(t * VOCAB, (t + 1) * VOCAB);
    const expected = Array.from({ length: VOCAB }, (_, o) => {
      let y = 0;
      for (let k = 0; k < WIDTH; k++) y += embed[inputIds[t] * WIDTH + k] * head[o * WIDTH + k];
      return Math.fround(y);
    });
    row.forEach((x, o) => ok(Math.abs(x - expected[o]) < 1e-5));
    sum += Math.log(row.reduce((a, x) => a + Math.exp(x), 0)) - row[label];
  }
  ok(Math.abs(sum / 8 - loss) < 1e-5);
});

Deno.test("evaluate() of a batch without labels has loss 0", async () => {
  const trainer = await loaded();
  const blank = { ...batch(), labels: new Int32Array(16).fill(-100) };
  deepEqual(await trainer.evaluate(blank), { loss: 0, tokens: 12, supervised: 0 });
  await rejects(trainer.step(blank), {
    code: "batch-invalid",
    message: /no position is trained on/,
  });
});

Deno.test.each([
  {
    what: "an id beyond the vocabulary",
    change: { inputIds: [3, 11] as [number, number] },
    field: "inputIds[3]",
  },
  {
    what: "a negative id",
    change: { inputIds: [3, -1] as [number, number] },
    field: "inputIds[3]",
  },
  {
    what: "a label that is neither",
    change: { labels: [2, -1] as [number, number] },
    field: "labels[2]",
  },
  {
    what: "a segment below -1",
    change: { segmentIds: [9, -2] as [number, number] },
    field: "segmentIds[9]",
  },
])("step() refuses $what", async ({ change, field }) => {
  const trainer = await loaded();
  await rejects(trainer.step(batch(change)), { code: "batch-invalid", place: { field } });
});

Deno.test("step() refuses batches of another length or type", async () => {
  const trainer = await loaded();
  const short = { ...batch(), labels: new Int32Array(15) };
  await rejects(trainer.step(short), {
    code: "batch-invalid",
    place: { field: "labels" },
    message: /15 values/,
  });
  const wrong = { ...batch(), inputIds: new Float32Array(16) as unknown as Int32Array };
  await rejects(trainer.step(wrong), { code: "batch-invalid", message: /no Int32Array/ });
});

Deno.test("write() refuses unknown names, other lengths, and columns that native code must not see", async () => {
  const trainer = await loaded();
  throws(() => trainer.write("nope", new Float32Array(1)), { code: "weights-mismatch" });
  throws(() => trainer.write("head.paca_delta", new Float32Array(2)), {
    code: "weights-mismatch",
    message: /2 values/,
  });
  for (const columns of [[0, 1, 6], [-1, 1, 2], [1, 1, 2], [2, 1, 3]]) {
    throws(() => trainer.write("head.paca_indices", Int32Array.from(columns) as never), {
      code: "adapter-invalid",
    });
  }
});

for (const format of ["peft", "paca", "lora"] as const) {
  Deno.test(`an adapter saved as ${format} loads into a program that drew other columns`, async () => {
    const dir = await folder();
    const weights = await weightsFolder();
    const trainer = await loaded({ weights });
    trainer.write("head.paca_indices", Int32Array.of(0, 2, 5) as never);
    for (let i = 0; i < 5; i++) await trainer.step(batch());
    await trainer.saveAdapter(dir, { format });
    const other = await loaded({ weights, adapter: dir });
    deepEqual([...other.read("head.paca_indices")], [0, 2, 5]);
    const [a, b] = [trainer, other].map((t) => t.read("head.paca_delta"));
    a.forEach((x: number, i: number) => ok(Math.abs(x - b[i]) < 1e-6, `${x} ${b[i]}`));
    ok(a.some((x: number) => Math.abs(x) > 0.1));
  });
}

Deno.test("saveMerged() writes W0 + s·D beside the base's files, and the merged model computes the same", async () => {
  const dir = join(await folder(), "merged");
  const weights = await weightsFolder();
  const trainer = await loaded({ weights });
  for (let i = 0; i < 5; i++) await trainer.step(batch());
  const { logits } = await trainer.evaluate(batch(), { logits: true });
  await trainer.saveMerged(dir);
  deepEqual(readdirSync(dir).sort(), ["config.json", "model.safetensors", "tokenizer.json"]);
  const merged = await loaded({ weights: dir });
  const { logits: again } = await merged.evaluate(batch(), { logits: true });
  logits?.forEach((x, i) => ok(Math.abs(x - (again?.[i] ?? NaN)) < 1e-5));
  notDeepEqual(merged.read("head.weight"), trainer.read("head.weight"));
});

Deno.test("saveMerged() of a trained-in-full model made from a seed writes every weight", async () => {
  const dir = join(await folder(), "merged");
  const trainer = await loadTrainer(new FakeEngine({ method: "full" }), { init: { seed: 1 } });
  await trainer.step(batch());
  await trainer.saveMerged(dir);
  const file = openSafetensors(join(dir, "model.safetensors"));
  deepEqual([...file.tensors.keys()].sort(), ["embed.weight", "head.weight"]);
  for (const tensor of file.tensors.values()) {
    deepEqual(readFloat32(tensor), trainer.read(tensor.name));
  }
  await rejects(trainer.saveAdapter(dir), { code: "usage", message: /method is full/ });
});

Deno.test("saving twice gives the same bytes", async () => {
  const trainer = await loaded();
  await trainer.step(batch());
  const dirs = [await folder(), await folder()];
  for (const dir of dirs) {
    await trainer.saveAdapter(dir);
    await trainer.saveMerged(join(dir, "merged"));
    await trainer.saveCheckpoint(join(dir, "checkpoint"));
  }
  const content = (dir: string): unknown =>
    readdirSync(dir, { withFileTypes: true }).sort((a, b) => a.name < b.name ? -1 : 1)
      .map((
        e,
      ) => [
        e.name,
        e.isDirectory()
          ? content(join(dir, e.name))
          : readFileSync(join(dir, e.name)).toString("hex"),
      ]);
  deepEqual(content(dirs[0]), content(dirs[1]));
});

Deno.test("await using frees the engine", async () => {
  const engine = new FakeEngine();
  {
    await using trainer = await loadTrainer(engine, { init: { seed: 0 } });
    equal(trainer.tensors["head.paca_delta"].role, "parameter");
  }
  ok(engine.disposed);
});

Deno.test("calls that overlap run one after another", async () => {
  const together = await loaded(), apart = await loaded();
  const [, { logits }] = await Promise.all([
    together.step(batch()),
    together.evaluate(batch(), { logits: true }),
    together.step(batch()),
  ]);
  await apart.step(batch());
  deepEqual((await apart.evaluate(batch(), { logits: true })).logits, logits);
  await apart.step(batch());
  deepEqual(together.read("head.paca_delta"), apart.read("head.paca_delta"));
  equal(together.stepsDone, 2);
});
