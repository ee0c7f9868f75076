/**
 * From a data file to packed rows of token ids.
 * @module
 */
import { readFile } from "node:fs/promises";
import { PacacError } from "../../errors.ts";
import { messageOf } from "../json.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { readAlpaca } from "./alpaca.ts";
import { type DataFormat, detectFormat } from "./detect.ts";
import type { Document } from "./document.ts";
import { readMessages } from "./messages.ts";
import { pack, type PackedData, type PackStrategy } from "./pack.ts";
import { readText } from "./text.ts";

export { alpacaPrompt, type Instruction } from "./alpaca.ts";
export { DATA_FORMATS, type DataFormat, detectFormat } from "./detect.ts";
export type { Document } from "./document.ts";
export { RowOrder, takeRows } from "./order.ts";
export {
  pack,
  type PackedData,
  type PackOptions,
  type PackStats,
  type PackStrategy,
} from "./pack.ts";

/** What {@linkcode loadData} takes beside the file. */
export interface DataOptions {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Found by content where it is not said. */
  readonly format?: DataFormat;
  /** Best fit for rows of questions and answers; a plain text always stays in order. */
  readonly strategy?: PackStrategy;
}

/** Packed rows, and what they were made of. */
export interface LoadedData extends PackedData {
  /** The format that was read. */
  readonly format: DataFormat;
}

/**
 * Reads a data file and packs it into rows.
 * @param file A file in one of the formats
 * @param options Tokenizer, length of a row, format
 * @throws {PacacError} io, data-invalid, tokenizer-invalid
 */
export async function loadData(file: string, options: DataOptions): Promise<LoadedData> {
  const text = await read(file);
  const format = options.format ?? detectFormat(text, file);
  const documents = readDocuments(text, file, { ...options, format });
  const { seqLen, tokenizer } = options;
  const strategy = format === "text" ? "sequential" : options.strategy ?? "best-fit";
  const packed = pack(documents, { seqLen, strategy, padId: tokenizer.padId ?? 0 });
  return { ...packed, format };
}

function readDocuments(
  text: string,
  file: string,
  { tokenizer, seqLen, format }: DataOptions & { readonly format: DataFormat },
): Document[] {
  switch (format) {
    case "alpaca":
      return readAlpaca(text, file, tokenizer);
    case "messages":
      return readMessages(text, file, tokenizer);
    case "text":
      return readText(text, tokenizer, seqLen);
  }
}

async function read(file: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    const code = cause instanceof TypeError ? "data-invalid" : "io";
    throw new PacacError(code, `Cannot read the data: ${messageOf(cause)}`, {
      place: { file },
      remedy: code === "io" ? "check the path" : "save the file as UTF-8",
      cause,
    });
  }
}
