/**
 * From files to documents: each row is read, made into tokens, and handed on; rows that cannot be used are counted or thrown.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { plainBytes, type ReadOptions } from "./bytes.ts";
import { detectKind, type FileKind, rowsOf } from "./detect.ts";
import type { Document, ReadContext, TrainOn } from "./document.ts";
import { type DataFormat, readRow, requireFormat } from "./formats.ts";
import { textSections } from "./lines.ts";
import { mmluSurroundings } from "./mmlu.ts";
import { type BadRow, fieldValue, renameFields, type Row } from "./rows.ts";
import { stretches } from "./text.ts";

/** How rows are read. */
export interface TokenizeOptions extends ReadOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens of a row of the program. */
  readonly seqLen: number;
  /** Found by content where it is not said. */
  readonly format?: DataFormat | undefined;
  /** From names of fields in the file to names of the format. */
  readonly map?: ReadonlyMap<string, string>;
  readonly trainOn?: TrainOn;
  /** Rows that may be bad; none where it is not said. */
  readonly skipBad?: number;
  /** Told after each row. */
  readonly onRow?: () => Promise<void> | void;
}

/** What was found in a file. */
export interface FileReport {
  /** Its path. */
  readonly file: string;
  /** What holds its rows. */
  readonly container: string;
  /** How it is compressed. */
  readonly compression: string;
  /** The format of its rows. */
  readonly format: DataFormat;
  /** Rows that were used; sections of a plain text. */
  readonly rows: number;
  /** Documents that they made. */
  readonly documents: number;
}

/** A row that was passed over. */
export interface SkippedRow {
  /** Where it is. */
  readonly place: Place;
  /** What is wrong with it. */
  readonly reason: string;
}

/** Where documents go. */
export interface DocumentSink {
  readonly add: (
    document: Document,
    from: { readonly file: number; readonly line: number },
  ) => void;
}

/** Characters of a plain text that are tokenised in one go. */
const SECTION = 4 * 1024 * 1024;

/** Reads files one after another; the allowance for bad rows is for all of them together. */
export class FileTokenizer {
  /** Rows that were passed over. */
  readonly skipped: SkippedRow[] = [];
  readonly #options: TokenizeOptions;
  readonly #sink: DocumentSink;

  /**
   * Reads nothing yet.
   * @param options Tokenizer, format, what is trained on
   * @param sink Where documents go
   */
  constructor(options: TokenizeOptions, sink: DocumentSink) {
    this.#options = options;
    this.#sink = sink;
  }

  /**
   * Reads a file.
   * @param file Its path
   * @param number Its number in the index
   * @throws {PacacError} io, data-invalid, tokenizer-invalid
   */
  async read(file: string, number: number): Promise<FileReport> {
    const kind = await this.#kindOf(file);
    const { container, compression } = kind;
    const counts = container === "text"
      ? await this.#readText(file, kind, number)
      : await this.#readRows(file, kind, number);
    return { file, container, compression, ...counts };
  }

  /** Where rows are said to be text and have none, the file itself is the text. */
  async #kindOf(file: string): Promise<FileKind> {
    const { format, map, signal } = this.#options;
    const kind = await detectKind(file, this.#options);
    if (format !== "text" || kind.container === "text" || kind.container === "parquet") return kind;
    if (map !== undefined) return kind;
    for await (const row of rowsOf(file, kind, { signal })) {
      return !("fault" in row) && hasText(row) ? kind : { ...kind, container: "text" };
    }
    return { ...kind, container: "text" };
  }

  async #readText(
    file: string,
    { compression }: FileKind,
    number: number,
  ): Promise<Pick<FileReport, "format" | "rows" | "documents">> {
    const { onRow } = this.#options;
    const pieces = plainBytes(file, compression, this.#options);
    let rows = 0, documents = 0;
    const use = (section: { text: string; line: number }, last: boolean) => {
      const made = stretches({ text: section.text, first: rows === 0, last }, this.#options);
      for (const document of made) this.#sink.add(document, { file: number, line: section.line });
      rows++;
      documents += made.length;
    };
    let waiting: { text: string; line: number } | undefined;
    for await (const section of textSections(pieces, file, { length: SECTION })) {
      if (waiting !== undefined) use(waiting, false);
      waiting = section;
      await onRow?.();
    }
    if (waiting !== undefined) use(waiting, true);
    return { format: "text", rows, documents };
  }

  async #readRows(
    file: string,
    kind: FileKind,
    number: number,
  ): Promise<Pick<FileReport, "format" | "rows" | "documents">> {
    let format = this.#options.format;
    let context: ReadContext | undefined;
    let rows = 0, documents = 0;
    for await (const found of rowsOf(file, kind, this.#options)) {
      await this.#options.onRow?.();
      const row = this.#usable(found);
      if (row === undefined) continue;
      // What no row can be read by is no fault of a row.
      format ??= requireFormat(row);
      context ??= await this.#contextOf(file, format);
      const made = this.#documentsOf(row, format, context);
      if (made === undefined) continue;
      rows++;
      documents += made.length;
      const line = row.place.line ?? 0;
      for (const document of made) this.#sink.add(document, { file: number, line });
    }
    if (format !== undefined && rows > 0) return { format, rows, documents };
    const state = this.skipped.length > 0 ? "no row can be used" : "it has no row";
    throw new PacacError("data-invalid", `Cannot use the data: ${state}`, {
      place: { file },
      remedy: "give rows, or leave the file out",
    });
  }

  /** The row under the format's names; nothing where it is bad and may be. */
  #usable(found: Row | BadRow): Row | undefined {
    if ("fault" in found) return this.#skip(found.fault);
    const { map } = this.#options;
    if (map === undefined) return found;
    return this.#attempt(() => renameFields(found, map));
  }

  #documentsOf(row: Row, format: DataFormat, context: ReadContext): Document[] | undefined {
    return this.#attempt(() => readRow(format, row, context));
  }

  #attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (error instanceof PacacError && error.code === "data-invalid") return this.#skip(error);
      throw error;
    }
  }

  #skip(fault: PacacError): undefined {
    const { skipBad = 0 } = this.#options;
    if (this.skipped.length >= skipBad) {
      if (skipBad === 0) throw fault;
      throw new PacacError(
        fault.code,
        `${fault.message}; ${skipBad} bad rows were skipped before`,
        {
          place: fault.place,
          remedy: fault.remedy,
          cause: fault,
        },
      );
    }
    this.skipped.push({ place: fault.place, reason: fault.message });
    return undefined;
  }

  async #contextOf(file: string, format: DataFormat): Promise<ReadContext> {
    const { tokenizer, seqLen, trainOn } = this.#options;
    const context = { tokenizer, seqLen, ...(trainOn === undefined ? {} : { trainOn }) };
    if (format !== "mmlu") return context;
    const { subject, examples } = await mmluSurroundings(file);
    return { ...context, subject, examples };
  }
}

function hasText(row: Row): boolean {
  return typeof fieldValue(row, "text") === "string";
}
