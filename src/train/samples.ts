/**
 * What a model writes before its training and after it: the same prompts, taken from the data, answered greedily.
 *
 * A decoder answers, which is another program, so a run ends with the same bits with samples or without.
 * @module
 */
import type { LoadedData } from "./data/load.ts";
import type { SampleEvent } from "./events.ts";
import { generate, type TextModel } from "./generate.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Trainer } from "./trainer.ts";

/** Tokens of an answer at most. */
const ANSWER_TOKENS = 96;

/** Tokens of a text that is learnt from its beginning, and so has no prompt of its own. */
const BEGINNING_TOKENS = 16;

/** A prompt, and how the data goes on. */
export interface SamplePrompt {
  /** The prompt's tokens, one at least. */
  readonly ids: Int32Array;
  /** The prompt as text. */
  readonly prompt: string;
  /** The data's own answer, cut to as many tokens as the model may write. */
  readonly expected: string;
}

/**
 * Prompts from documents that lie evenly in the validation set, or in the training set where nothing is kept apart.
 * @param data Loaded data
 * @param options How many, and the model's tokenizer
 * @throws {PacacError} io
 */
export function samplePrompts(
  data: LoadedData,
  options: { readonly count: number; readonly tokenizer: Tokenizer },
): SamplePrompt[] {
  const { count, tokenizer } = options;
  const rows = data.validation ?? data.train;
  const taken = Math.min(count, rows.rows);
  return Array.from({ length: taken }, (_, i) => {
    const [document] = rows.documentsOf(Math.floor(i * rows.rows / taken));
    const { ids, supervised } = data.store.read(document, rows.seqLen);
    const begin = promptLength(supervised);
    return {
      ids: ids.slice(0, begin),
      prompt: tokenizer.decode(ids.subarray(0, begin)),
      expected: tokenizer.decode(ids.subarray(begin, begin + ANSWER_TOKENS)),
    };
  });
}

/** Tokens before the first that is learnt; of a text that is learnt from its beginning, its first third or less. */
function promptLength(supervised: Uint8Array): number {
  const first = supervised.subarray(1).indexOf(1) + 1;
  if (first > 1) return first;
  return Math.max(1, Math.min(BEGINNING_TOKENS, Math.floor(supervised.length / 3)));
}

/** What {@linkcode answerSamples} takes beside the model. */
export interface SampleOptions {
  /** What the model goes on from. */
  readonly prompts: readonly SamplePrompt[];
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Ids that end an answer; the tokenizer's end-of-text where it is not said. */
  readonly stop?: readonly number[];
  /** Steps that the model was trained. */
  readonly step: number;
  /** Ends an answer early. */
  readonly signal?: AbortSignal;
}

/**
 * A model's greedy answers, one event each; none of an answer that was cut off.
 * @param model A decoder, or the trainer itself
 * @param options Prompts, tokenizer, step
 * @throws {PacacError} what the generation throws
 */
export async function* answerSamples(
  model: TextModel | Trainer,
  { prompts, tokenizer, stop, step, signal }: SampleOptions,
): AsyncGenerator<SampleEvent, void, undefined> {
  const common = {
    tokenizer,
    maxTokens: ANSWER_TOKENS,
    ...(stop && { stop }),
    ...(signal && { signal }),
  };
  for (const [sample, { ids, prompt, expected }] of prompts.entries()) {
    let text = "";
    for await (const piece of generate(model, { ...common, prompt: ids })) text += piece;
    if (signal?.aborted) return;
    yield { type: "sample", step, sample, prompt, expected, text };
  }
}
