/**
 * Rows of comma, tab or semicolon separated values, the first line naming the columns.
 * @module
 */
import { Readable } from "node:stream";
import { CsvError, type Options, parse } from "csv-parse";
import { parse as parseSync } from "csv-parse/sync";
import { PacacError } from "../../errors.ts";
import { lineBlocks, textOf } from "./lines.ts";
import { MAX_ROW_BYTES, type Row, type RowStream } from "./rows.ts";

/** Columns of MMLU's original files, which have no header. */
const MMLU_COLUMNS = ["question", "A", "B", "C", "D", "answer"];

/**
 * The cells of a text's first line; nothing where it is no CSV.
 * @param head The beginning of a file
 */
export function headerOf(head: string): string[] | undefined {
  const delimiter = delimiterOf(head);
  try {
    const [header] = parseSync(head, { ...settings(delimiter), to: 1 }) as unknown as string[][];
    return header;
  } catch {
    return undefined;
  }
}

/**
 * Whether a first line is a question of MMLU's original files: six cells, the last one a letter.
 * @param header Its cells
 */
export function isBareMmlu(header: readonly string[]): boolean {
  return header.length === MMLU_COLUMNS.length && /^[A-D]$/.test(header[5]);
}

/**
 * The rows of a file. A row whose cells are not as many as the columns is bad.
 * @param pieces The file's bytes
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid, where quotes are malformed or columns share a name
 */
export async function* csvRows(pieces: AsyncIterable<Uint8Array>, file: string): RowStream {
  let columns: readonly string[] | undefined;
  for await (const { cells, line } of records(pieces, file)) {
    const place = { file, line };
    if (columns === undefined) {
      columns = isBareMmlu(cells) ? MMLU_COLUMNS : header(cells, file);
      if (columns === cells) continue;
    }
    if (cells.length !== columns.length) {
      const state = `it has ${cells.length} cells, and there are ${columns.length} columns`;
      const remedy = "write a cell that has a comma, a quote or a line break in quotes";
      yield {
        fault: new PacacError("data-invalid", `Cannot use the row: ${state}`, { place, remedy }),
      };
      continue;
    }
    const names = columns;
    yield { value: Object.fromEntries(names.map((name, i) => [name, cells[i]])), place };
  }
}

function header(cells: readonly string[], file: string): readonly string[] {
  const twice = cells.find((name, i) => cells.indexOf(name) !== i);
  if (twice === undefined) return cells;
  throw new PacacError("data-invalid", `Cannot use the columns: two are named "${twice}"`, {
    place: { file, line: 1 },
    remedy: "rename one of them",
  });
}

function settings(delimiter: string): Options {
  return {
    delimiter,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
  };
}

/** The one of the usual delimiters that the first line has most of. */
function delimiterOf(head: string): string {
  const [line] = head.split("\n", 1);
  const counts = [",", "\t", ";"].map((mark) => ({ mark, count: line.split(mark).length }));
  return counts.reduce((best, next) => next.count > best.count ? next : best).mark;
}

async function* records(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<{ cells: string[]; line: number }, void> {
  const blocks = texts(pieces, file);
  const first = await blocks.next();
  if (first.done === true) return;
  const parser = parse({ ...settings(delimiterOf(first.value)), info: true });
  const source = Readable.from(prepend(first.value, blocks));
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  const count = (cells: readonly string[], mark: string) =>
    cells.reduce((sum, cell) => sum + cell.split(mark).length - 1, 0);
  let twice = 0;
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      // The parser counts a CRLF inside quotes as two lines.
      twice += count(record, "\r\n");
      yield { cells: record, line: info.lines - twice - count(record, "\n") };
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new PacacError("data-invalid", `Cannot parse CSV: ${cause.message}`, {
      place: { file },
      remedy: "write a quote inside quotes twice, and close each that is opened",
      cause,
    });
  } finally {
    source.destroy();
  }
}

interface CsvRecord {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

async function* texts(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<string, void, undefined> {
  for await (const { bytes, line } of lineBlocks(pieces, file)) {
    if (bytes.length > 0) yield textOf(bytes, { file, line });
  }
}

async function* prepend(first: string, rest: AsyncIterable<string>): AsyncGenerator<string, void> {
  yield first;
  yield* rest;
}

/**
 * Reads a small file of values whole.
 * @param text The file's text
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid
 */
export async function csvTextRows(text: string, file: string): Promise<Row[]> {
  const rows: Row[] = [];
  const bytes = new TextEncoder().encode(text);
  for await (const row of csvRows(Readable.from([bytes]), file)) {
    if ("fault" in row) throw row.fault;
    rows.push(row);
  }
  return rows;
}
