/**
 * What readers make of a data file: documents, that is token ids with a mark on those that are trained on.
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

/** A conversation and where it stands in its file. */
export interface Conversation {
  readonly messages: readonly Message[];
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
