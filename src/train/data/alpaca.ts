/**
 * Alpaca data: rows of {instruction, input?, output}. Only the output is trained on.
 * @module
 */
import { supervise } from "./chat.ts";
import { type Document, promptAndAnswer, type ReadContext } from "./document.ts";
import { type Row, textField } from "./rows.ts";

/** An instruction to follow, with what it works on. */
export interface Instruction {
  /** What to do. */
  readonly instruction: string;
  /** What to do it with, where there is something. */
  readonly input?: string;
}

/**
 * The document of an Alpaca row: as a user's and an assistant's turn where the tokenizer has a chat template, else
 * with {@linkcode alpacaPrompt} before the answer and the end-of-text token behind it. The published Alpaca has some rows
 * without an answer: nothing to learn, so they give an empty document, which packing drops and counts.
 * @param row The row
 * @param context Tokenizer, and what is trained on
 * @throws {PacacError} data-invalid
 */
export function readAlpaca(row: Row, context: ReadContext): Document[] {
  const instruction = textField(row, "instruction");
  const input = textField(row, "input", { missing: "" });
  const output = textField(row, "output");
  if (output === "") return [{ ids: new Int32Array(0), supervised: new Uint8Array(0) }];
  if (!context.tokenizer.hasChatTemplate) {
    return [promptAndAnswer(alpacaPrompt({ instruction, input }), output, context)];
  }
  const content = input === "" ? instruction : `${instruction}\n\n${input}`;
  const messages = [{ role: "user", content }, { role: "assistant", content: output }];
  return [supervise({ messages, place: row.place }, context)];
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
