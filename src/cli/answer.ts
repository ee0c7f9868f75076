/**
 * What the commands that write text have in common: the decoder with its tokenizer, sampling flags, an answer as it comes.
 * @module
 */
import type { LoadedSpec } from "../spec/load.ts";
import {
  type Decoder,
  generate,
  type GenerateOptions,
  loadTokenizer,
  type Message,
  type SamplingOptions,
  stopIds,
  type TextModel,
  type Tokenizer,
  type Trainer,
  type Written,
} from "../train/mod.ts";
import { type CompileFlags, loadOptions, openDecoder, tokenizerFolder } from "./program.ts";

/** Flags that open a decoder. */
export interface WriterFlags extends CompileFlags {
  readonly adapter?: string | undefined;
  readonly context?: number | undefined;
}

/** A decoder with all that turns its tokens into text. */
export interface Writer extends AsyncDisposable {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  /** Ids that end a text. */
  readonly stop: readonly number[];
}

/**
 * Compiles a description for writing text, loads weights and adapter.
 * @param loaded The description
 * @param flags Target, weights, adapter, context
 */
export async function openWriter(loaded: LoadedSpec, flags: WriterFlags): Promise<Writer> {
  const { target, isa, threads, weights } = flags;
  const context = flags.context ?? loaded.spec.train.seqLen;
  const compileFlags = { target, isa, threads, weights, decode: { context } };
  const decoder = await openDecoder(loaded, compileFlags, loadOptions(flags));
  try {
    const folder = await tokenizerFolder(decoder);
    const tokenizer = await loadTokenizer(folder);
    const stop = await stopIds(folder, tokenizer);
    return {
      decoder,
      tokenizer,
      stop,
      [Symbol.asyncDispose]: () => decoder[Symbol.asyncDispose](),
    };
  } catch (error) {
    await decoder[Symbol.asyncDispose]();
    throw error;
  }
}

/** Flags of an answer. */
export interface AnswerFlags extends SamplingOptions {
  readonly maxTokens: number;
  /** Strings that end the answer. */
  readonly stop?: readonly string[] | undefined;
}

/** What {@linkcode answer} takes beside the model. */
export interface AnswerOptions {
  readonly tokenizer: Tokenizer;
  readonly messages: readonly Message[];
  readonly flags: AnswerFlags;
  /** Ids that end the answer; the tokenizer's where it is not said. */
  readonly stop?: readonly number[];
  readonly signal?: AbortSignal;
}

/**
 * Answers a conversation by the model's chat template; without one, the last message goes on.
 * @param model A decoder or trainer
 * @param options Tokenizer, conversation, sampling
 */
export function answer(
  model: TextModel | Trainer,
  options: AnswerOptions,
): AsyncGenerator<string, Written, undefined> {
  const { tokenizer, messages, stop, signal } = options;
  const { stop: stopStrings = [], ...sampling } = options.flags;
  const prompt = tokenizer.hasChatTemplate
    ? tokenizer.chat(messages, { generationPrompt: true })
    : messages.at(-1)?.content ?? "";
  const given: GenerateOptions = {
    ...sampling,
    tokenizer,
    prompt,
    stopStrings,
    ...(stop === undefined ? {} : { stop }),
    ...(signal === undefined ? {} : { signal }),
  };
  return generate(model, given);
}

/**
 * Writes an answer to standard output as it comes, and a line's end behind it.
 * @param pieces The answer
 * @returns Its text, and how it came about
 */
export async function stream(
  pieces: AsyncGenerator<string, Written, undefined>,
): Promise<{ text: string; written: Written }> {
  const encoder = new TextEncoder();
  let text = "";
  for (;;) {
    const { value, done } = await pieces.next();
    if (done === true) {
      writeAll(encoder.encode("\n"));
      return { text, written: value };
    }
    writeAll(encoder.encode(value));
    text += value;
  }
}

/** A pipe may take a part at a time. */
function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/**
 * "35 prompt tokens at 410 tokens/s, 120 at 95.1 tokens/s": how fast an answer came.
 * @param written How it came about
 */
export function speedText({ promptTokens, promptSeconds, tokens, seconds }: Written): string {
  const rate = (count: number, took: number) =>
    took > 0 ? ` at ${(count / took).toFixed(1)} tokens/s` : "";
  // The first token belongs to the prompt's time.
  return `${promptTokens} prompt tokens${rate(promptTokens, promptSeconds)}, ` +
    `${tokens} written${rate(tokens - 1, tokens > 1 ? seconds : 0)}`;
}
