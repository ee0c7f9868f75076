/**
 * What a model writes before its training and after it: the same prompts, taken from the data, answered greedily.
 *
 * Answering reads weights and writes nothing that a step reads, so a run ends with the same bits with samples or without.
 * @module
 */
import type { LoadedData } from "./data/load.ts";
import type { SampleEvent, TrainEvent } from "./events.ts";
import { generate } from "./generate.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Trainer } from "./trainer.ts";

/** Tokens of an answer at most. */
const ANSWER_TOKENS = 32;

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

/** What {@linkcode withSamples} takes beside the events. */
export interface SampleOptions {
  /** What the model goes on from. */
  readonly prompts: readonly SamplePrompt[];
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /**
   * Seconds after which a round of samples ends; one that has not even one answer by then is given up, as are those to come. No
   * limit where it is not said.
   */
  readonly limitSeconds?: number;
  /** Ends an answer early. */
  readonly signal?: AbortSignal;
  /** Told where samples are given up. */
  readonly onGivenUp?: () => void;
}

/**
 * A run's events with samples among them: behind the start of a new run, and before the end of one that is done.
 * @param trainer The trainer
 * @param events Its events
 * @param options Prompts, tokenizer, a limit in time
 * @throws {PacacError} what the events and the generation throw
 */
export async function* withSamples(
  trainer: Trainer,
  events: AsyncIterable<TrainEvent>,
  options: SampleOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const sampler = new Sampler(trainer, options);
  for await (const event of events) {
    if (event.type === "done") yield* sampler.round();
    yield event;
    if (event.type === "start" && event.step === 0) yield* sampler.round();
  }
}

class Sampler {
  readonly #trainer: Trainer;
  readonly #options: SampleOptions;
  #givenUp = false;

  constructor(trainer: Trainer, options: SampleOptions) {
    this.#trainer = trainer;
    this.#options = options;
  }

  async *round(): AsyncGenerator<SampleEvent, void, undefined> {
    const { prompts, limitSeconds = Infinity, signal } = this.#options;
    if (this.#givenUp) return;
    const deadline = performance.now() + 1000 * limitSeconds;
    for (const [sample, { ids, prompt, expected }] of prompts.entries()) {
      const text = await this.#answer(ids, deadline);
      if (signal?.aborted) return;
      if (text === undefined) return sample === 0 ? this.#giveUp() : undefined;
      const step = this.#trainer.stepsDone;
      yield { type: "sample", step, sample, prompt, expected, text };
    }
  }

  /** undefined where the time is up. */
  async #answer(ids: Int32Array, deadline: number): Promise<string | undefined> {
    const { tokenizer, signal } = this.#options;
    const given = { tokenizer, prompt: ids, maxTokens: ANSWER_TOKENS };
    let text = "";
    for await (
      const piece of generate(this.#trainer, { ...given, ...(signal && { signal }) })
    ) {
      text += piece;
      if (performance.now() > deadline) return undefined;
    }
    return text;
  }

  #giveUp(): void {
    this.#givenUp = true;
    this.#options.onGivenUp?.();
  }
}
