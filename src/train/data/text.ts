/**
 * Plain text: continued pretraining, every token is trained on.
 * @module
 */
import type { Tokenizer } from "../tokenizer.ts";
import { beginOfText, type Document, endOfText, joinPieces, type ReadContext } from "./document.ts";
import { type Row, textField } from "./rows.ts";

/** A stretch of a plain text. */
export interface Section {
  /** The text. */
  readonly text: string;
  /** Whether the file begins with it. */
  readonly first: boolean;
  /** Whether the file ends with it. */
  readonly last: boolean;
}

/**
 * The documents of a row {text}: its tokens in consecutive stretches that each fill a row of the program at most.
 * @param row The row
 * @param context Tokenizer and length of a row
 * @throws {PacacError} data-invalid
 */
export function readText(row: Row, context: ReadContext): Document[] {
  return stretches({ text: textField(row, "text"), first: true, last: true }, context);
}

/**
 * The documents of a section of a plain text: its tokens in consecutive stretches that each fill a row.
 * @param section The section
 * @param context Tokenizer and tokens of a row
 */
export function stretches(
  { text, first, last }: Section,
  { tokenizer, seqLen }: { readonly tokenizer: Tokenizer; readonly seqLen: number },
): Document[] {
  const stream = joinPieces([
    { ids: first ? beginOfText(tokenizer) : new Int32Array(0), supervised: true },
    { ids: tokenizer.encode(text), supervised: true },
    { ids: last ? endOfText(tokenizer) : new Int32Array(0), supervised: true },
  ]);
  const documents: Document[] = [];
  for (let at = 0; at < stream.ids.length; at += seqLen) {
    documents.push({
      ids: stream.ids.slice(at, at + seqLen),
      supervised: stream.supervised.slice(at, at + seqLen),
    });
  }
  return documents;
}
