import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { generate, type GenerateOptions } from "../../src/train/generate.ts";
import { loadTrainer } from "../../src/train/load.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { Tokenizer } from "../../src/train/tokenizer.ts";
import { FakeEngine } from "./fake_engine.ts";

/** Ids 0 to 10 are letters; 9 and 10 are the two bytes of one character, which decode to it only together. */
const letters = {
  eosId: 8,
  encode: (text: string) => Int32Array.from(text, (c) => c.charCodeAt(0) - 97),
  decode: (ids: ArrayLike<number>) =>
    Array.from(ids).map((id) => String.fromCharCode(97 + id)).join("")
      .replaceAll("jk", "é").replace(/j$/, "\ufffd"),
} as unknown as Tokenizer;

/** A model that has learnt to go on as `next` says: We = scaled one-hot rows in embedding space is too narrow, so it is trained. */
async function chain(order: readonly number[]): Promise<Trainer> {
  const trainer = await loadTrainer(new FakeEngine({ method: "full", seqLen: 12, batch: 1 }), {
    init: { seed: 1 },
  });
  trainer.write(
    "embed.weight",
    Float32Array.from({ length: 66 }, (_, i) => Math.sin(i * i + 1) * 2) as never,
  );
  const inputIds = new Int32Array(12), segmentIds = new Int32Array(12).fill(-1);
  order.forEach((id, t) => [inputIds[t], segmentIds[t]] = [id, 0]);
  for (let i = 0; i < 300; i++) await trainer.step({ inputIds, labels: inputIds, segmentIds });
  return trainer;
}
async function text(trainer: Trainer, options: Partial<GenerateOptions>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of generate(trainer, { tokenizer: letters, prompt: "a", ...options })) {
    pieces.push(piece);
  }
  return pieces;
}

const trainer = await chain([0, 1, 2, 9, 10, 3, 8, 4, 5, 6, 7, 4]);

Deno.test("generate() goes on greedily, in whole characters, until the end-of-text token", async () => {
  deepEqual(await text(trainer, {}), ["b", "c", "é", "d"]);
});

Deno.test("generate() stops at maxTokens, and shows what is left", async () => {
  deepEqual(await text(trainer, { maxTokens: 3 }), ["b", "c", "\ufffd"]);
});

Deno.test("generate() goes on past seqLen tokens", async () => {
  const circle = (await text(trainer, { prompt: "e", maxTokens: 20 })).join("");
  equal(circle, "fghefghefghefghefghe");
});

Deno.test("generate() samples the same for a seed, and another text for another", async () => {
  const options = { prompt: "e", temperature: 3, maxTokens: 12, stop: [] };
  const [one, again, other] = await Promise.all(
    [1, 1, 2].map((seed) => text(trainer, { ...options, seed })),
  );
  deepEqual(one, again);
  ok(one.join("") !== other.join(""));
});

Deno.test("generate() stops when told to", async () => {
  deepEqual(await text(trainer, { signal: AbortSignal.abort() }), []);
});

Deno.test("generate() refuses an empty prompt and ids that the model has not", async () => {
  await rejects(text(trainer, { prompt: "" }), { code: "usage" });
  await rejects(text(trainer, { prompt: Int32Array.of(11) }), { code: "batch-invalid" });
});
