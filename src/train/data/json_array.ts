/**
 * The objects of a JSON array, one at a time: only the one at hand is in memory.
 *
 * Elements are cut by counting brackets outside strings; each is then parsed by JSON.parse.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { jsonRow, withoutMark } from "./lines.ts";
import { MAX_ROW_BYTES, type RowStream } from "./rows.ts";

const [QUOTE, ESCAPE, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const BREAK = 0x0a;

/** What may come next between elements. */
type Expecting = "array" | "first" | "element" | "separator" | "nothing";

/**
 * The rows of a JSON array.
 * @param pieces The file's bytes
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid, where the array is malformed or cut off
 */
export async function* jsonArray(pieces: AsyncIterable<Uint8Array>, file: string): RowStream {
  const cutter = new ElementCutter(file);
  let first = true;
  for await (const piece of pieces) {
    const bytes = first ? withoutMark(piece, file) : piece;
    first = false;
    for (const element of cutter.push(bytes)) {
      yield jsonRow(element.bytes, element.place) ?? { fault: malformed(element.place) };
    }
  }
  cutter.end();
}

function malformed(place: Place, state = "an element is missing"): PacacError {
  return new PacacError("data-invalid", `Cannot parse JSON: ${state}`, {
    place,
    remedy: "mend the JSON text, or say the format with --format",
  });
}

/** An element's bytes. */
interface Element {
  readonly bytes: Uint8Array;
  readonly place: Place;
}

/** Cuts pieces of an array into its elements. */
class ElementCutter {
  readonly #file: string;
  #expecting: Expecting = "array";
  #depth = 0;
  #inString = false;
  #escaped = false;
  #line = 1;
  #elementLine = 1;
  #index = 0;
  #kept: Uint8Array[] = [];
  #size = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The elements that end in a piece. */
  *push(piece: Uint8Array): Generator<Element> {
    let begin = this.#depth > 0 || this.#inString ? 0 : -1;
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at];
      if (byte === BREAK) this.#line++;
      if (begin < 0) {
        if (this.#between(byte)) {
          begin = at;
          this.#elementLine = this.#line;
        } else continue;
      }
      const ended = this.#inside(byte);
      if (!ended) continue;
      yield this.#element(piece.slice(begin, at + 1));
      begin = -1;
    }
    if (begin < 0) return;
    this.#kept.push(piece.slice(begin));
    this.#size += piece.length - begin;
    if (this.#size <= MAX_ROW_BYTES) return;
    throw new PacacError(
      "data-invalid",
      `Cannot use the row: it is longer than ${MAX_ROW_BYTES} bytes`,
      { place: this.#place(), remedy: "split rows this long" },
    );
  }

  /** Whatever is open must be closed. */
  end(): void {
    if (this.#expecting === "nothing") return;
    throw malformed(this.#place(), "the array is not closed, so the file may be cut off");
  }

  #place(): Place {
    return { file: this.#file, line: this.#line, field: `[${this.#index}]` };
  }

  /** Whether an element begins with this byte. */
  #between(byte: number): boolean {
    if (byte === 0x20 || byte === 0x09 || byte === BREAK || byte === 0x0d) return false;
    const expecting = this.#expecting;
    if (expecting === "array" && byte === OPEN) this.#expecting = "first";
    else if (expecting === "separator" && byte === COMMA) this.#expecting = "element";
    else if (byte === CLOSE && (expecting === "separator" || expecting === "first")) {
      this.#expecting = "nothing";
    } else if (expecting === "first" || expecting === "element") {
      if (byte === OPEN || byte === OPEN_OBJECT || byte === QUOTE) return true;
      throw malformed(this.#place(), "an element is no object");
    } else {
      const shown = JSON.stringify(String.fromCharCode(byte));
      throw malformed(this.#place(), `${shown} stands between elements`);
    }
    return false;
  }

  /** Whether the element ends with this byte. */
  #inside(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === ESCAPE) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return !this.#inString && this.#depth === 0;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN || byte === OPEN_OBJECT) this.#depth++;
    else if (byte === CLOSE || byte === CLOSE_OBJECT) return --this.#depth === 0;
    return false;
  }

  #element(last: Uint8Array): Element {
    const bytes = new Uint8Array(this.#size + last.length);
    let at = 0;
    for (const part of [...this.#kept, last]) {
      bytes.set(part, at);
      at += part.length;
    }
    const field = `[${this.#index}]`;
    const place = { file: this.#file, line: this.#elementLine, field };
    this.#kept = [];
    this.#size = 0;
    this.#index++;
    this.#expecting = "separator";
    return { bytes, place };
  }
}
