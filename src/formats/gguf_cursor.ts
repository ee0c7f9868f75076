/**
 * Reads a GGUF header front to back through a small window: its length stands nowhere, so nothing is read ahead of need.
 *
 * Every read is checked against the file's end and against a limit on the header before memory is taken for it.
 * @module
 */
import { PacacError } from "../errors.ts";
import { readAt } from "./files.ts";
import type { GgufScalar, ValueType } from "./gguf_types.ts";

/** Longest header that is read: ten times the largest vocabulary known. */
const MAX_HEADER_BYTES = 1 << 28;
/** Most elements of all arrays of a file together. */
const MAX_ELEMENTS = 1 << 24;
const WINDOW = 1 << 18;

/** Bytes of a scalar; of a string, the least that one has. */
const SIZES: Readonly<Record<ValueType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  u64: 8,
  i64: 8,
  f64: 8,
};

/**
 * The error for a GGUF file that cannot be trusted or is not understood.
 * @param message "Cannot X: state"
 * @param place File, byte offset, name of the key or tensor
 * @param remedy What to do; to get the file again where it is not said
 */
export function ggufInvalid(
  message: string,
  place: { readonly file: string; readonly byte?: number; readonly field?: string },
  remedy = "the file is damaged or was not written as GGUF: get it again",
): PacacError {
  return new PacacError("gguf-invalid", message, { place, remedy });
}

/** A place in a header that moves forward. */
export class GgufCursor {
  /** Offset of the next byte, from the file's start. */
  position = 0;
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #size: number;
  #window = new Uint8Array(0);
  #windowStart = 0;
  #elements = 0;

  /**
   * @param file The open file
   * @param options Its path for messages, its size in bytes
   */
  constructor(file: Deno.FsFile, options: { readonly path: string; readonly size: number }) {
    this.#file = file;
    this.#path = options.path;
    this.#size = options.size;
  }

  /**
   * The error for something at a byte of this header.
   * @param state What is wrong
   * @param at Its byte, the next one where it is not said; name of the key or tensor
   */
  fail(
    state: string,
    at: { readonly byte?: number; readonly field?: string | undefined } = {},
  ): PacacError {
    const { byte = this.position, field } = at;
    const place = { file: this.#path, byte };
    return ggufInvalid(
      `Cannot read header: ${state}`,
      field === undefined ? place : {
        ...place,
        field,
      },
    );
  }

  /**
   * A count of things that follow.
   * @param what Its name in messages
   * @param limits The most there may be, and the least bytes that each has
   */
  count(what: string, limits: { readonly most: number; readonly bytesEach: number }): number {
    const byte = this.position;
    const value = this.#take(8).getBigUint64(0, true);
    const { most, bytesEach } = limits;
    if (value > BigInt(most)) throw this.fail(`${value} ${what} are more than ${most}`, { byte });
    const left = this.#size - this.position;
    if (Number(value) * bytesEach > left) {
      throw this.fail(`${value} ${what} do not fit into the ${left} bytes that are left`, { byte });
    }
    return Number(value);
  }

  /**
   * A text in UTF-8 with its length before it.
   * @param what Its name in messages
   * @param most Most bytes
   */
  string(what: string, most = MAX_HEADER_BYTES): string {
    const length = this.count(`bytes of ${what}`, { most, bytesEach: 1 });
    const byte = this.position;
    const view = this.#take(length);
    try {
      return UTF8.decode(new Uint8Array(view.buffer, view.byteOffset, length));
    } catch {
      throw this.fail(`${what} is not UTF-8`, { byte });
    }
  }

  /**
   * A scalar.
   * @param type Its type
   * @param field Name of the key in messages
   */
  scalar(type: ValueType, field?: string): GgufScalar {
    if (type === "string") return this.string(field ?? "text");
    const byte = this.position;
    const view = this.#take(SIZES[type]);
    switch (type) {
      case "u8":
        return view.getUint8(0);
      case "i8":
        return view.getInt8(0);
      case "u16":
        return view.getUint16(0, true);
      case "i16":
        return view.getInt16(0, true);
      case "u32":
        return view.getUint32(0, true);
      case "i32":
        return view.getInt32(0, true);
      case "f32":
        return view.getFloat32(0, true);
      case "u64":
        return view.getBigUint64(0, true);
      case "i64":
        return view.getBigInt64(0, true);
      case "f64":
        return view.getFloat64(0, true);
      case "bool": {
        const value = view.getUint8(0);
        if (value <= 1) return value === 1;
        throw this.fail(`${value} is neither true nor false`, { byte, field });
      }
    }
  }

  /** A u32, as types and small counts are stored. */
  u32(): number {
    return this.#take(4).getUint32(0, true);
  }

  /** A u64, as sizes and offsets are stored. */
  u64(): bigint {
    return this.#take(8).getBigUint64(0, true);
  }

  /**
   * The elements of an array whose type was read.
   * @param type Type of the elements
   * @param field Name of the key in messages
   */
  elements(type: ValueType, field: string): GgufScalar[] {
    const most = MAX_ELEMENTS - this.#elements;
    const count = this.count(`elements of ${field}`, { most, bytesEach: SIZES[type] });
    this.#elements += count;
    return Array.from({ length: count }, () => this.scalar(type, field));
  }

  #take(length: number): DataView {
    const at = this.position;
    const end = at + length;
    if (end > this.#size) throw this.fail(`it ends after ${this.#size} bytes, ${end} are needed`);
    if (end > MAX_HEADER_BYTES) throw this.fail(`it is longer than ${MAX_HEADER_BYTES} bytes`);
    if (end > this.#windowStart + this.#window.length) this.#fill(length);
    this.position = end;
    return new DataView(this.#window.buffer, at - this.#windowStart, length);
  }

  #fill(length: number): void {
    const size = Math.min(Math.max(length, WINDOW), this.#size - this.position);
    this.#window = new Uint8Array(size);
    this.#windowStart = this.position;
    if (readAt(this.#file, this.#window, { offset: this.position }) < size) {
      throw this.fail("the file became shorter");
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
