/**
 * Tells by its first bytes what a data file is: how it is compressed, what holds its rows.
 * @module
 */
import { isObject } from "../json.ts";
import {
  type Compression,
  compressionOf,
  plainBytes,
  rawBytes,
  type ReadOptions,
} from "./bytes.ts";
import { csvRows, headerOf, isBareMmlu } from "./csv.ts";
import { type DataFormat, formatOf } from "./formats.ts";
import { jsonArray } from "./json_array.ts";
import { jsonLines, withoutMark } from "./lines.ts";
import { parquetRows } from "./parquet.ts";
import type { RowStream } from "./rows.ts";

/** What holds rows; `text` is prose, which has none. */
export type Container = "json" | "jsonl" | "csv" | "parquet" | "text";

/** What a file is. */
export interface FileKind {
  readonly container: Container;
  readonly compression: Compression;
}

/** What detection can be told. */
export interface DetectOptions extends ReadOptions {
  /** The format, where the user says it. */
  readonly format?: DataFormat | undefined;
  /** Names of fields in the file, and the names that formats know them by. */
  readonly map?: ReadonlyMap<string, string>;
}

/** Enough for a header and most first rows. */
const HEAD_BYTES = 256 * 1024;

/**
 * Looks at a file's beginning.
 * @param file Its path
 * @param options Format and map, where the user gave them
 * @throws {PacacError} io, data-invalid
 */
export async function detectKind(file: string, options: DetectOptions = {}): Promise<FileKind> {
  const { signal } = options;
  const raw = await headOf(rawBytes(file, { signal }), 6);
  if (isParquet(raw)) return { container: "parquet", compression: "none" };
  const compression = compressionOf(raw);
  const head = await headOf(plainBytes(file, compression, { signal }), HEAD_BYTES);
  const text = new TextDecoder().decode(withoutMark(head, file));
  const name = file.replace(/\.(?:gz|zst)$/i, "");
  return { container: containerOf(text, name, options), compression };
}

async function headOf(pieces: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const head = new Uint8Array(length);
  let size = 0;
  for await (const piece of pieces) {
    const part = piece.subarray(0, length - size);
    head.set(part, size);
    size += part.length;
    if (size === length) break;
  }
  return head.subarray(0, size);
}

function isParquet(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(0, 4)) === "PAR1";
}

/** What a text's beginning shows; the name, without the ending of a compression, decides where it shows nothing. */
function containerOf(head: string, name: string, options: DetectOptions): Container {
  const { format, map } = options;
  const ending = /\.(\w+)$/.exec(name)?.[1].toLowerCase();
  // A text may begin with a bracket.
  if (/^\s*\[\s*(?:\{|\]\s*$)/.test(head)) return "json";
  const [line, ...more] = head.trimStart().split("\n");
  if (line.startsWith("{") && (more.length === 0 && head.length > 4096 || isJsonObject(line))) {
    return "jsonl";
  }
  if (ending === "jsonl" || ending === "ndjson") return "jsonl";
  if (ending === "json") return head.trimStart().startsWith("[") ? "json" : "jsonl";
  if (ending === "csv" || ending === "tsv") return "csv";
  if (format === "text") return "text";
  const header = headerOf(head);
  if (header === undefined || header.length < 2) return format === undefined ? "text" : "jsonl";
  const fields = header.map((field) => map?.get(field) ?? field);
  const found = isBareMmlu(header) ? "mmlu" : formatOf(fields);
  if (found !== undefined) return "csv";
  return format === undefined ? "text" : "jsonl";
}

function isJsonObject(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

/**
 * The rows of a file that has rows.
 * @param file Its path
 * @param kind What it is
 * @param options Signal and progress
 */
export function rowsOf(
  file: string,
  { container, compression }: FileKind,
  options: ReadOptions,
): RowStream {
  if (container === "parquet") return parquetRows(file, options);
  const pieces = plainBytes(file, compression, options);
  if (container === "csv") return csvRows(pieces, file);
  return container === "json" ? jsonArray(pieces, file) : jsonLines(pieces, file);
}
