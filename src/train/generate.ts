/**
 * Writes text with the model as it is now: greedy, or sampled from the most probable tokens.
 *
 * The training program is used as it is, one forward pass a token, without a key-value cache: slow, and exactly what was trained.
 * @module
 */
import { PacacError } from "../errors.ts";
import { textBatch } from "./batch.ts";
import { Random } from "./random.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Trainer } from "./trainer.ts";

/** What {@linkcode generate} takes beside the trainer. */
export interface GenerateOptions {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Text or token ids to go on from. */
  readonly prompt: string | Int32Array;
  /** Tokens to write at most. */
  readonly maxTokens?: number;
  /** 0: always the most probable token. */
  readonly temperature?: number;
  /** Sampling is from the fewest tokens that have this share of the probability. */
  readonly topP?: number;
  /** Of the sampling. */
  readonly seed?: number;
  /** Ids that end the text; the tokenizer's end-of-text where it is not said. */
  readonly stop?: readonly number[];
  /** Ends the text early. */
  readonly signal?: AbortSignal;
}

/**
 * Goes on from a prompt, piece by piece; pieces are whole characters. Past seqLen tokens the oldest are forgotten.
 * @param trainer The trainer
 * @param options Tokenizer, prompt, sampling
 * @throws {PacacError} usage, batch-invalid
 */
export async function* generate(
  trainer: Trainer,
  options: GenerateOptions,
): AsyncGenerator<string, void, undefined> {
  const { tokenizer, maxTokens = 128, temperature = 0, topP = 1, seed = 0, signal } = options;
  const stop = options.stop ?? (tokenizer.eosId === undefined ? [] : [tokenizer.eosId]);
  const ids = [...promptIds(options, trainer)];
  const written: number[] = [];
  const random = new Random(seed, "generate");
  let shown = "";
  for (let n = 0; n < maxTokens && signal?.aborted !== true; n++) {
    const logits = await nextLogits(trainer, ids);
    const id = temperature > 0
      ? sample(logits, random.uniform(), { temperature, topP })
      : argmax(logits);
    if (stop.includes(id)) break;
    ids.push(id);
    written.push(id);
    const text = tokenizer.decode(written);
    if (text.endsWith("\ufffd")) continue; // a character whose other bytes are still to come
    if (text.length > shown.length) yield text.slice(shown.length);
    shown = text;
  }
  const rest = tokenizer.decode(written).slice(shown.length);
  if (rest !== "") yield rest;
}

function promptIds({ prompt, tokenizer }: GenerateOptions, { info }: Trainer): Int32Array {
  const ids = typeof prompt === "string" ? tokenizer.encode(prompt) : prompt;
  if (ids.length === 0) {
    throw new PacacError("usage", "Cannot generate: the prompt has no token", {
      remedy: "give a prompt of a word at least",
    });
  }
  const foreign = ids.find((id) => id < 0 || id >= info.vocabSize);
  if (foreign === undefined) return ids;
  throw new PacacError("batch-invalid", `Cannot generate: ${foreign} is no id of the model's`, {
    place: { field: "prompt" },
    remedy: `use the model's own tokenizer, with ids below ${info.vocabSize}`,
  });
}

/** Logits [vocab] of the token that follows. */
async function nextLogits(trainer: Trainer, ids: readonly number[]): Promise<Float32Array> {
  const { engine, info } = trainer;
  const window = ids.slice(-info.seqLen);
  return await trainer.exclusive(async () => {
    await engine.forward(textBatch(window, info));
    return await engine.logits(Int32Array.of(window.length - 1));
  });
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/**
 * The token at a point of the distribution softmax(logits / temperature), cut to its most probable tokens.
 * @param logits [vocab]
 * @param point In [0, 1): where in the cumulated distribution, tokens from the most to the least probable
 * @param options Temperature above 0, share of the probability that is kept
 */
export function sample(
  logits: Float32Array,
  point: number,
  { temperature, topP }: { readonly temperature: number; readonly topP: number },
): number {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  const highest = logits[order[0]];
  const weights = order.map((id) => Math.exp((logits[id] - highest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0, share = 0;
  while (kept < weights.length && (kept === 0 || share < topP * total)) share += weights[kept++];
  let left = point * share;
  for (let i = 0; i < kept; i++) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}
