/**
 * Alpaca data: rows of {instruction, input?, output}. Only the output is trained on.
 * @module
 */
import type { Tokenizer } from "../tokenizer.ts";
import { supervise } from "./chat.ts";
import { beginOfText, type Document, endOfText, joinPieces } from "./document.ts";
import { readRows, type Row, textField } from "./rows.ts";

/** An instruction to follow, with what it works on. */
export interface Instruction {
  /** What to do. */
  readonly instruction: string;
  /** What to do it with, where there is something. */
  readonly input?: string;
}

/**
 * The documents of an Alpaca file: as a user's and an assistant's turn where the tokenizer has a chat template, else
 * with {@linkcode alpacaPrompt} before the answer and the end-of-text token behind it.
 * @param text The file's text
 * @param file The file's name, for messages
 * @param tokenizer The model's tokenizer
 * @throws {PacacError} data-invalid
 */
export function readAlpaca(text: string, file: string, tokenizer: Tokenizer): Document[] {
  return readRows(text, file).map((row) => document(row, tokenizer));
}

/**
 * The prompt of the Alpaca project, which ends where the answer begins.
 * @param task Instruction and input
 */
export function alpacaPrompt({ instruction, input = "" }: Instruction): string {
  const context = input === "" ? "" : ", paired with an input that provides further context";
  const given = input === "" ? "" : `### Input:\n${input}\n\n`;
  return `Below is an instruction that describes a task${context}. ` +
    "Write a response that appropriately completes the request.\n\n" +
    `### Instruction:\n${instruction}\n\n${given}### Response:\n`;
}

function document({ value, place }: Row, tokenizer: Tokenizer): Document {
  const instruction = textField(value, "instruction", { place });
  const input = textField(value, "input", { place, missing: "" });
  const output = textField(value, "output", { place });
  // The published Alpaca has some rows without an answer: nothing to learn, so packing drops and counts them.
  if (output === "") return joinPieces([]);
  if (!tokenizer.hasChatTemplate) {
    const prompt = tokenizer.encode(alpacaPrompt({ instruction, input }));
    return joinPieces([
      { ids: beginOfText(tokenizer), supervised: false },
      { ids: prompt, supervised: false },
      { ids: tokenizer.encode(output), supervised: true },
      { ids: endOfText(tokenizer), supervised: true },
    ]);
  }
  const content = input === "" ? instruction : `${instruction}\n\n${input}`;
  const messages = [{ role: "user", content }, { role: "assistant", content: output }];
  return supervise({ messages, place }, tokenizer);
}
