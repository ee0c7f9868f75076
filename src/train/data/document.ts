/**
 * What readers make of a row: documents, that is token ids with a mark on those that are trained on.
 * @module
 */
import type { Place } from "../../errors.ts";
import type { Message, Tokenizer } from "../tokenizer.ts";

/** One text as token ids. */
export interface Document {
  /** Token ids, [n]. */
  readonly ids: Int32Array;
  /** 1 where the model learns to predict the token, 0 where it is given. */
  readonly supervised: Uint8Array;
}

/** What of a conversation is trained on: each answer, the last one, or every token. */
export const TRAIN_ON = ["answers", "last", "everything"] as const;

/** One of {@linkcode TRAIN_ON}. */
export type TrainOn = typeof TRAIN_ON[number];

/** What readers of rows are given beside the row. */
export interface ReadContext {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Tokens of a row of the program. */
  readonly seqLen: number;
  /** Default `answers`. */
  readonly trainOn?: TrainOn;
  /** Questions that go before another of the file in MMLU's prompt. */
  readonly examples?: readonly MmluQuestion[];
  /** Subject of the file's questions. */
  readonly subject?: string;
}

/** A question of MMLU with its four choices. */
export interface MmluQuestion {
  /** The question. */
  readonly question: string;
  /** What may be answered, A to D. */
  readonly choices: readonly string[];
  /** The right choice, 0 to 3. */
  readonly answer: number;
}

/** A conversation and where it stands in its file. */
export interface Conversation {
  readonly messages: readonly Message[];
  /** Descriptions of tools that the assistant may call. */
  readonly tools?: readonly unknown[];
  readonly place: Place;
}

/** A run of tokens that is given or trained on as a whole. */
export interface Piece {
  readonly ids: Int32Array;
  readonly supervised: boolean;
}

/**
 * A document of consecutive pieces.
 * @param pieces In order
 */
export function joinPieces(pieces: readonly Piece[]): Document {
  const length = pieces.reduce((sum, { ids }) => sum + ids.length, 0);
  const document = { ids: new Int32Array(length), supervised: new Uint8Array(length) };
  let at = 0;
  for (const { ids, supervised } of pieces) {
    document.ids.set(ids, at);
    if (supervised) document.supervised.fill(1, at, at + ids.length);
    at += ids.length;
  }
  return document;
}

/**
 * A document of a prompt that is given and an answer that is trained on, with begin-of-text and end-of-text where the
 * tokenizer has them. The prompt is tokenised alone, as it is when the model is asked.
 * @param prompt What is given
 * @param answer What is learnt
 * @param context Tokenizer, and whether the prompt is learnt too
 */
export function promptAndAnswer(
  prompt: string,
  answer: string,
  { tokenizer, trainOn }: ReadContext,
): Document {
  const given = trainOn === "everything";
  return joinPieces([
    { ids: beginOfText(tokenizer), supervised: given },
    { ids: tokenizer.encode(prompt), supervised: given },
    { ids: tokenizer.encode(answer), supervised: true },
    { ids: endOfText(tokenizer), supervised: true },
  ]);
}

/**
 * The begin-of-text token as ids, for tokenizers that put one before a text; else nothing.
 * @param tokenizer The tokenizer
 */
export function beginOfText(tokenizer: Tokenizer): Int32Array {
  return Int32Array.from(
    tokenizer.addsBos && tokenizer.bosId !== undefined ? [tokenizer.bosId] : [],
  );
}

/**
 * The end-of-text token as ids, where there is one.
 * @param tokenizer The tokenizer
 */
export function endOfText(tokenizer: Tokenizer): Int32Array {
  return Int32Array.from(tokenizer.eosId === undefined ? [] : [tokenizer.eosId]);
}
