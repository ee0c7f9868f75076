/**
 * Lines of a byte stream, and JSON lines: text is decoded strictly, and what is wrong is told by line.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { isObject, kindOf } from "../json.ts";
import { MAX_ROW_BYTES, parseJson, type Row, type RowStream } from "./rows.ts";

/** Whole lines. */
export interface Block {
  readonly bytes: Uint8Array;
  /** Number of the first, from 1. */
  readonly line: number;
}

const BREAK = 0x0a;
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Cuts a stream behind line breaks. A byte order mark is taken off.
 * @param pieces The bytes
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid, where a line is too long or the text is UTF-16
 */
export async function* lineBlocks(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<Block, void, undefined> {
  let line = 1;
  let waiting: Uint8Array[] = [], size = 0, first = true;
  const join = (last: Uint8Array): Uint8Array => {
    const bytes = concatenate([...waiting, last]);
    waiting = [];
    size = 0;
    const text = first ? withoutMark(bytes, file) : bytes;
    first = false;
    return text;
  };
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(BREAK) + 1;
    if (end > 0) {
      const bytes = join(piece.subarray(0, end));
      yield { bytes, line };
      line += countBreaks(bytes);
    }
    if (end === piece.length) continue;
    waiting.push(piece.subarray(end));
    size += piece.length - end;
    if (size > MAX_ROW_BYTES) throw tooLong({ file, line });
  }
  if (size > 0) yield { bytes: join(new Uint8Array(0)), line };
}

function tooLong(place: Place): PacacError {
  return new PacacError(
    "data-invalid",
    `Cannot use the row: it is longer than ${MAX_ROW_BYTES} bytes`,
    { place, remedy: "write each row on a line of its own, and split rows this long" },
  );
}

/** One array of all bytes, in order. */
function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Takes a byte order mark off the beginning of a file.
 * @param bytes The file's beginning
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid, where the mark says UTF-16
 */
export function withoutMark(bytes: Uint8Array, file: string): Uint8Array {
  const [a, b, c] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw new PacacError("data-invalid", "Cannot read the data: it is UTF-16", {
      place: { file },
      remedy: "save the file as UTF-8",
    });
  }
  return a === 0xef && b === 0xbb && c === 0xbf ? bytes.subarray(3) : bytes;
}

function countBreaks(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(BREAK); at >= 0; at = bytes.indexOf(BREAK, at + 1)) count++;
  return count;
}

/**
 * Decodes UTF-8; a byte that is none is told by its line.
 * @param bytes Whole lines, or one row
 * @param place File, and line of the first
 * @throws {PacacError} data-invalid
 */
export function decodeText(bytes: Uint8Array, place: Place): string {
  try {
    return DECODER.decode(bytes);
  } catch (cause) {
    throw new PacacError("data-invalid", "Cannot read the data: a byte is no UTF-8", {
      place: { ...place, line: (place.line ?? 1) + breaksBeforeFault(bytes) },
      remedy: "save the file as UTF-8",
      cause,
    });
  }
}

/** Line breaks before the line that does not decode. */
function breaksBeforeFault(bytes: Uint8Array): number {
  let lines = 0;
  for (let begin = 0; begin < bytes.length; lines++) {
    const end = bytes.indexOf(BREAK, begin) + 1 || bytes.length;
    try {
      DECODER.decode(bytes.subarray(begin, end));
    } catch {
      return lines;
    }
    begin = end;
  }
  return Math.max(0, lines - 1);
}

/**
 * The rows of JSON lines. Empty lines are passed over.
 * @param pieces The file's bytes
 * @param file The file's name, for messages
 */
export async function* jsonLines(pieces: AsyncIterable<Uint8Array>, file: string): RowStream {
  for await (const { bytes, line: first } of lineBlocks(pieces, file)) {
    let line = first;
    for (let begin = 0; begin < bytes.length; line++) {
      const end = bytes.indexOf(BREAK, begin) + 1 || bytes.length;
      const last = bytes[end - 1] === BREAK ? end - 1 : end;
      const row = jsonRow(bytes.subarray(begin, last), { file, line });
      if (row !== undefined) yield row;
      begin = end;
    }
  }
}

/**
 * The row that a stretch of bytes holds, or why it holds none; nothing where it is blank.
 * @param bytes JSON in UTF-8
 * @param place Where it stands
 */
export function jsonRow(
  bytes: Uint8Array,
  place: Place,
): Row | { fault: PacacError } | undefined {
  try {
    const text = decodeText(bytes, place);
    if (text.trim() === "") return undefined;
    const value = parseJson(text, place);
    if (isObject(value)) return { value, place };
    throw new PacacError("data-invalid", `Cannot use the row: it is ${kindOf(value)}, no object`, {
      place,
      remedy: "make each row an object",
    });
  } catch (fault) {
    if (fault instanceof PacacError) return { fault };
    throw fault;
  }
}

/**
 * A text in sections of whole lines, cut where a line begins with something to read.
 * @param pieces The file's bytes
 * @param file The file's name, for messages
 * @param options Least length of a section in characters
 * @throws {PacacError} data-invalid, where it is no text
 */
export async function* textSections(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
  { length }: { readonly length: number },
): AsyncGenerator<{ text: string; line: number }, void, undefined> {
  let text = "", begin = 1, next = 1;
  for await (const { bytes, line } of lineBlocks(pieces, file)) {
    const more = textOf(bytes, { file, line });
    if (text.length >= length && !/^\s/.test(more)) {
      yield { text, line: begin };
      [text, begin] = ["", next];
    }
    text += more;
    next = line + countBreaks(bytes);
  }
  if (text !== "") yield { text, line: begin };
}

/**
 * Decodes text in which no byte may be 0, as in files that are no text.
 * @param bytes Whole lines
 * @param place File, and line of the first
 * @throws {PacacError} data-invalid
 */
export function textOf(bytes: Uint8Array, place: Place): string {
  const zero = bytes.indexOf(0);
  if (zero < 0) return decodeText(bytes, place);
  const line = (place.line ?? 1) + countBreaks(bytes.subarray(0, zero));
  throw new PacacError("data-invalid", "Cannot read the data: a byte is 0, so it is no text", {
    place: { ...place, line },
    remedy: "give a file of text, JSON, CSV or Parquet",
  });
}
