/**
 * Samples before and after a run: the same prompts, no influence on what is learnt, and given up where they take too long.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { TrainEvent } from "../../src/train/events.ts";
import { pack } from "../../src/train/data/pack.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { drawNormals } from "../../src/train/random.ts";
import { type SampleOptions, type SamplePrompt, withSamples } from "../../src/train/samples.ts";
import type { Tokenizer } from "../../src/train/tokenizer.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { FakeEngine } from "./fake_engine.ts";

/** Ids as letters: what withSamples needs of a tokenizer. */
const tokenizer = {
  eosId: undefined,
  decode: (ids: ArrayLike<number>) => String.fromCharCode(...Array.from(ids, (id) => 97 + id)),
} as unknown as Tokenizer;
const prompts: SamplePrompt[] = [[0, 3], [5]].map((ids) => ({
  ids: Int32Array.from(ids),
  prompt: tokenizer.decode(ids),
  expected: "",
}));
const data = pack(
  Array.from({ length: 12 }, (_, d) => ({
    ids: Int32Array.from({ length: 6 }, (_, t) => (d + 3 * t) % 11),
    supervised: new Uint8Array(6).fill(1),
  })),
  { seqLen: 8 },
);

async function fresh(): Promise<Trainer> {
  const engine = new FakeEngine({});
  const trainer = await loadTrainer(engine, { init: { seed: 1 }, seed: 9 });
  engine.write("embed.weight", drawNormals(2, "embed", { length: 66, deviation: 1 }));
  return trainer;
}

async function run(
  trainer: Trainer,
  options: Partial<SampleOptions> & { readonly steps?: number } = {},
): Promise<TrainEvent[]> {
  const { steps = 40, ...rest } = options;
  const list: TrainEvent[] = [];
  const events = trainer.train({ data, steps });
  for await (const event of withSamples(trainer, events, { prompts, tokenizer, ...rest })) {
    list.push(event);
  }
  return list;
}

Deno.test("samples come behind the start and before the end, and show what was learnt", async () => {
  const trainer = await fresh();
  const events = await run(trainer);
  const types = events.map(({ type }) => type).filter((type) => type !== "step");
  deepEqual(types, ["start", "sample", "sample", "sample", "sample", "done"]);
  const samples = events.filter((event) => event.type === "sample");
  deepEqual(samples.map(({ step, sample }) => [step, sample]), [[0, 0], [0, 1], [40, 0], [40, 1]]);
  deepEqual(samples.map(({ prompt }) => prompt), ["ad", "f", "ad", "f"]);
  ok(samples.every(({ text }) => text.length === 32));
  // The data's rule: three further each time, modulo eleven.
  const kept = ({ text }: { readonly text: string }) =>
    [...text.slice(1)].filter((letter, i) =>
      (letter.charCodeAt(0) - text.charCodeAt(i) + 22) % 11 === 3
    ).length;
  ok(kept(samples[2]) > kept(samples[0]), `${samples[0].text} ${samples[2].text}`);
});

Deno.test("a run ends with the same bits with samples or without", async () => {
  const [one, other] = [await fresh(), await fresh()];
  await run(one);
  for await (const _ of other.train({ data, steps: 40 }));
  deepEqual(one.engine.read("parameters"), other.engine.read("parameters"));
  deepEqual(one.engine.read("moment2"), other.engine.read("moment2"));
});

Deno.test("a run that goes on has its first samples already", async () => {
  const trainer = await fresh();
  await run(trainer, { steps: 2 });
  const events = await run(trainer, { steps: 4 });
  deepEqual(events.map(({ type }) => type), ["start", "step", "step", "sample", "sample", "done"]);
});

Deno.test("samples that take too long are given up once and for all", async () => {
  const trainer = await fresh();
  let told = 0;
  const events = await run(trainer, { limitSeconds: 0, onGivenUp: () => told++, steps: 2 });
  deepEqual(events.map(({ type }) => type), ["start", "step", "step", "done"]);
  equal(told, 1);
});

Deno.test("an interrupted run ends without samples", async () => {
  const trainer = await fresh();
  const stop = AbortSignal.abort();
  const types: string[] = [];
  const events = trainer.train({ data, steps: 3, signal: stop });
  for await (
    const { type } of withSamples(trainer, events, { prompts, tokenizer, signal: stop })
  ) types.push(type);
  deepEqual(types, ["start", "interrupted"]);
});
