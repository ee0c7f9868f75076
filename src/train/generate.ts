/**
 * Goes on from a prompt, token by token: what a model's logits, a sampler and a text stream are together.
 *
 * A decoder computes a token with its caches. A trainer can do it too, one whole forward a token: slow, and exactly the
 * program that is being trained.
 * @module
 */
import { PacacError } from "../errors.ts";
import { textBatch } from "./batch.ts";
import { Sampler, type SamplingOptions } from "./sampling.ts";
import { TextStream } from "./text_stream.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { Trainer } from "./trainer.ts";

/** What gives logits. */
export interface TextModel {
  /** Most tokens of a text. */
  readonly contextLength: number;
  /**
   * Logits [vocab] of the token that follows a text; undefined where `signal` was aborted before they were there.
   * @param ids All of the text
   * @param signal Ends the reading of a long text early
   */
  next(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array | undefined>;
  /** How many of a text's first tokens need not be read again. */
  known(ids: readonly number[]): number;
}

/** What {@linkcode generate} takes beside the model. */
export interface GenerateOptions extends SamplingOptions {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Text or token ids to go on from. */
  readonly prompt: string | Int32Array;
  /** Tokens to write at most; default 128. */
  readonly maxTokens?: number;
  /** Ids that end the text; the tokenizer's end-of-text where it is not said. */
  readonly stop?: readonly number[];
  /** Strings that end the text; they are not part of it. */
  readonly stopStrings?: readonly string[];
  /** Ends the text early. */
  readonly signal?: AbortSignal;
}

/** How a text came about. */
export interface Written {
  /**
   * What ended it: a token that ends texts, a stop string, the most tokens, a full context, or the signal.
   */
  readonly reason: "end" | "stop" | "tokens" | "context" | "aborted";
  /** Tokens of the prompt that had to be read. */
  readonly promptTokens: number;
  /** Seconds until the first token. */
  readonly promptSeconds: number;
  /** Tokens written, with the one that ended the text. */
  readonly tokens: number;
  /** Seconds from the first token to the last. */
  readonly seconds: number;
}

/**
 * Goes on from a prompt, piece by piece; pieces are whole characters. With a trainer, the oldest tokens are forgotten past seqLen.
 * @param model A decoder, or a trainer
 * @param options Tokenizer, prompt, sampling
 * @returns How the text came about
 * @throws {PacacError} usage, where the prompt is empty or does not fit the context; batch-invalid, for ids that the model has not
 */
export async function* generate(
  model: TextModel | Trainer,
  options: GenerateOptions,
): AsyncGenerator<string, Written, undefined> {
  const { tokenizer, maxTokens = 128, signal } = options;
  const source = model instanceof Trainer ? forwardModel(model) : model;
  const ends = options.stop ?? (tokenizer.eosId === undefined ? [] : [tokenizer.eosId]);
  const ids = promptIds(options, source);
  const clock = new Clock(ids.length - source.known(ids));
  const sampler = new Sampler(options);
  const stream = new TextStream(tokenizer, options.stopStrings ?? []);
  let reason: Written["reason"] | undefined;
  for (let n = 0; reason === undefined && n < maxTokens; n++) {
    if (ids.length > source.contextLength) {
      reason = "context";
      break;
    }
    const logits = signal?.aborted === true ? undefined : await source.next(ids, signal);
    if (logits === undefined) {
      reason = "aborted";
      break;
    }
    const id = sampler.next(logits, ids);
    clock.token();
    if (ends.includes(id)) {
      reason = "end";
      break;
    }
    ids.push(id);
    const piece = stream.push(id);
    if (piece !== "") yield piece;
    if (stream.stopped) reason = "stop";
  }
  const rest = stream.end();
  if (rest !== "") yield rest;
  return { reason: reason ?? (stream.stopped ? "stop" : "tokens"), ...clock.read() };
}

/** Times of a prompt and of the tokens behind it. */
class Clock {
  readonly #promptTokens: number;
  readonly #began = performance.now();
  #first = 0;
  #last = 0;
  #tokens = 0;

  constructor(promptTokens: number) {
    this.#promptTokens = promptTokens;
  }

  token(): void {
    this.#last = performance.now();
    if (this.#tokens++ === 0) this.#first = this.#last;
  }

  read(): Omit<Written, "reason"> {
    return {
      promptTokens: this.#promptTokens,
      promptSeconds: this.#tokens === 0 ? 0 : (this.#first - this.#began) / 1000,
      tokens: this.#tokens,
      seconds: (this.#last - this.#first) / 1000,
    };
  }
}

function promptIds({ prompt, tokenizer }: GenerateOptions, model: TextModel): number[] {
  const ids = [...typeof prompt === "string" ? tokenizer.encode(prompt) : prompt];
  if (ids.length === 0) {
    throw new PacacError("usage", "Cannot generate: the prompt has no token", {
      remedy: "give a prompt of a word at least",
    });
  }
  if (ids.length <= model.contextLength) return ids;
  throw new PacacError(
    "usage",
    `Cannot generate: the prompt's ${ids.length} tokens do not fit a context of ${model.contextLength}`,
    { remedy: "shorten it, or give a longer --context" },
  );
}

/** A trainer as a model: forward over the last seqLen tokens, all of them for each. */
function forwardModel(trainer: Trainer): TextModel {
  const { engine, info } = trainer;
  const { vocabSize } = info;
  return {
    contextLength: Infinity,
    known: () => 0,
    async next(ids) {
      const window = ids.slice(-info.seqLen);
      const foreign = window.find((id) => !(id >= 0 && id < vocabSize));
      if (foreign !== undefined) {
        throw new PacacError(
          "batch-invalid",
          `Cannot generate: ${foreign} is no id of the model's`,
          {
            place: { field: "prompt" },
            remedy: `use the model's own tokenizer, with ids below ${vocabSize}`,
          },
        );
      }
      return await trainer.exclusive(async () => {
        await engine.forward(textBatch(window, info));
        return await engine.logits(Int32Array.of(window.length - 1));
      });
    },
  };
}
