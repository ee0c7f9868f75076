/**
 * Writing text token by token over caches against the training program's forward over all of the text.
 * @module
 */
import { deepEqual, ok, rejects } from "node:assert/strict";
import { openDecoder, openProgram } from "../../src/cli/program.ts";
import { loadSpec } from "../../src/spec/load.ts";
import { textBatch } from "../../src/train/batch.ts";
import type { Decoder, Trainer } from "../../src/train/mod.ts";
import { inRepository } from "../support/paths.ts";

const WEIGHTS = inRepository("models/tiny");
const CONTEXT = 96;

/** The largest error, by the largest logit. */
function errorOf(found: Float32Array | undefined, expected: Float32Array): number {
  ok(found !== undefined && found.length === expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const errors = expected.map((value, i) => Math.abs(value - found[i]));
  ok(!errors.some(Number.isNaN));
  return errors.reduce((most, value) => Math.max(most, value), 0) / largest;
}

async function forward(trainer: Trainer, ids: readonly number[]): Promise<Float32Array> {
  return await trainer.exclusive(async () => {
    await trainer.engine.forward(textBatch([...ids], trainer.info));
    return (await trainer.engine.logits(Int32Array.of(ids.length - 1))).slice();
  });
}

async function open(): Promise<{ trainer: Trainer; decoder: Decoder; ids: number[] }> {
  const flags = { target: "cpu", isa: "native", weights: WEIGHTS } as const;
  const path = inRepository("models/tiny.ts");
  const out = inRepository("generated/decode-test-trainer");
  const { module } = await openProgram(path, { ...flags, out });
  const trainer = await module.load({ weights: WEIGHTS });
  const decodeFlags = { ...flags, decode: { context: CONTEXT } };
  const decoder = await openDecoder(
    await loadSpec(path),
    { ...decodeFlags, out: inRepository("generated/decode-test-decoder") },
    { weights: WEIGHTS },
  );
  const { vocabSize } = trainer.info;
  const ids = Array.from({ length: CONTEXT }, (_, i) => (i * 7919 + 13) % vocabSize);
  return { trainer, decoder, ids };
}

Deno.test("cached logits are the whole forward's, for prompts of every kind and a token at a time", async () => {
  const { trainer, decoder, ids } = await open();
  await using _ = { [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose]() };
  await using __ = { [Symbol.asyncDispose]: () => decoder[Symbol.asyncDispose]() };
  const bound = trainer.info.storage === "bf16" ? 3e-2 : 1e-4;
  for (const prompt of [1, 2, 7, 31, 63, 64, 65, 90]) {
    // Another beginning, so that nothing of the prompt before is known.
    const text = ids.slice(0, prompt).map((id) => (id + prompt) % trainer.info.vocabSize);
    for (let more = 0; more < 4; more++) {
      const error = errorOf(await decoder.next(text), await forward(trainer, text));
      ok(error < bound, `prompt of ${prompt}, ${more} tokens behind it: ${error}`);
      text.push(ids[more]);
    }
  }
});

Deno.test("what was read is known until it differs; a text longer than the context is refused", async () => {
  const { trainer, decoder, ids } = await open();
  await using _ = { [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose]() };
  await using __ = { [Symbol.asyncDispose]: () => decoder[Symbol.asyncDispose]() };
  const first = (await decoder.next(ids.slice(0, 40)))?.slice();
  ok(first !== undefined && decoder.known(ids.slice(0, 41)) === 40);
  const changed = [...ids.slice(0, 20), 1, ...ids.slice(21, 40)];
  ok(decoder.known(changed) === 20);
  ok(errorOf(await decoder.next(changed), await forward(trainer, changed)) < 3e-2);
  deepEqual((await decoder.next(ids.slice(0, 40)))?.slice(), first, "the same text, the same bits");
  await rejects(decoder.next([...ids, 1]));
});

Deno.test("an adapter is switched on and off: the tuned program's logits, and the base model's to the bit", async () => {
  const { trainer, decoder, ids } = await open();
  await using _ = { [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose]() };
  await using __ = { [Symbol.asyncDispose]: () => decoder[Symbol.asyncDispose]() };
  const text = ids.slice(0, 33);
  const base = (await decoder.next(text))?.slice();
  const { batch, seqLen, vocabSize } = trainer.info;
  const inputIds = Int32Array.from({ length: batch * seqLen }, (_, i) => (i * 31) % vocabSize);
  const segmentIds = new Int32Array(batch * seqLen);
  for (let i = 0; i < 5; i++) await trainer.step({ inputIds, labels: inputIds, segmentIds });
  const folder = await Deno.makeTempDir({ prefix: "pacac-decode-" });
  await trainer.saveAdapter(`${folder}/adapter`);
  decoder.loadAdapter(`${folder}/adapter`);
  const tuned = await forward(trainer, text);
  ok(errorOf(base, tuned) > 1e-2, "five steps change the logits");
  ok(errorOf(await decoder.next(text), tuned) < 3e-2);
  decoder.setAdapter(false);
  deepEqual((await decoder.next(text))?.slice(), base);
  await Deno.remove(folder, { recursive: true });
});
