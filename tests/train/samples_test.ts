/**
 * Samples before and after a run: the same prompts, and what was learnt shows.
 * @module
 */
import { deepEqual, ok } from "node:assert/strict";
import type { SampleEvent } from "../../src/train/events.ts";
import { pack } from "../../src/train/data/pack.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { drawNormals } from "../../src/train/random.ts";
import { answerSamples, type SampleOptions, type SamplePrompt } from "../../src/train/samples.ts";
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

async function answers(
  trainer: Trainer,
  options: Partial<SampleOptions> = {},
): Promise<SampleEvent[]> {
  const list: SampleEvent[] = [];
  const given = { prompts, tokenizer, step: trainer.stepsDone, ...options };
  for await (const event of answerSamples(trainer, given)) list.push(event);
  return list;
}

Deno.test("the same prompts are answered before and after, and show what was learnt", async () => {
  const trainer = await fresh();
  const before = await answers(trainer);
  for await (const _ of trainer.train({ data, steps: 40 }));
  const samples = [...before, ...await answers(trainer)];
  deepEqual(samples.map(({ step, sample }) => [step, sample]), [[0, 0], [0, 1], [40, 0], [40, 1]]);
  deepEqual(samples.map(({ prompt }) => prompt), ["ad", "f", "ad", "f"]);
  ok(samples.every(({ text }) => text.length === 96));
  // The data's rule: three further each time, modulo eleven.
  const kept = ({ text }: { readonly text: string }) =>
    [...text.slice(1)].filter((letter, i) =>
      (letter.charCodeAt(0) - text.charCodeAt(i) + 22) % 11 === 3
    ).length;
  ok(kept(samples[2]) > kept(samples[0]), `${samples[0].text} ${samples[2].text}`);
});

Deno.test("an id that ends texts ends an answer", async () => {
  const trainer = await fresh();
  const [{ text }] = await answers(trainer);
  const stop = [text.charCodeAt(3) - 97];
  const [{ text: shorter }] = await answers(trainer, { stop });
  deepEqual(shorter, text.slice(0, text.indexOf(text[3])));
});

Deno.test("an answer that was cut off is none", async () => {
  deepEqual(await answers(await fresh(), { signal: AbortSignal.abort() }), []);
});
