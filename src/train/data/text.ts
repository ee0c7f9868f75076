/**
 * Plain text: continued pretraining, every token is trained on.
 * @module
 */
import type { Tokenizer } from "../tokenizer.ts";
import { beginOfText, type Document, endOfText, joinPieces } from "./document.ts";

/**
 * The documents of a plain text: its tokens in consecutive stretches that each fill a row.
 * @param text The file's text
 * @param tokenizer The model's tokenizer
 * @param seqLen Tokens of a row
 */
export function readText(text: string, tokenizer: Tokenizer, seqLen: number): Document[] {
  const stream = joinPieces([
    { ids: beginOfText(tokenizer), supervised: true },
    { ids: tokenizer.encode(text), supervised: true },
    { ids: endOfText(tokenizer), supervised: true },
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
