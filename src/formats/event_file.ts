/**
 * TensorBoard's event files: records framed as TFRecord, each an `Event` message of protocol buffers.
 *
 * A record is length (8 bytes), checksum of the length, the message, checksum of the message, all little-endian. Only the
 * few fields that scalars, texts and restarts need are written; the numbers beside them are those of event.proto,
 * summary.proto and tensor.proto.
 * @module
 */
import { makeFolder, writeAll } from "./atomic.ts";
import { join, withFile } from "./files.ts";

/** What the first record says, so that readers know how restarts are told. */
const FILE_VERSION = "brain.Event:2";

/** Reflected polynomial of CRC-32C (Castagnoli). */
const POLYNOMIAL = 0x82f63b78;

/** Added to rotated checksums: a checksum over data that holds checksums would else be weak. */
const MASK = 0xa282ead8;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/**
 * CRC-32C, masked as TFRecord wants it.
 * @param bytes The data
 */
function maskedChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = (crc ^ 0xffffffff) >>> 0;
  return ((crc >>> 15 | crc << 17) + MASK) >>> 0;
}

function record(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(message.length), true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(message, 12);
  view.setUint32(12 + message.length, maskedChecksum(message), true);
  return bytes;
}

/** How a field's value is written: the lowest three bits of its tag. */
const VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function whole(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field << 3 | VARINT), ...varint(value)]);
}

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = field << 3 | FIXED64;
  new DataView(bytes.buffer).setFloat64(1, value, true);
  return bytes;
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = field << 3 | FIXED32;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return bytes;
}

function nested(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = joined(parts);
  return joined([
    Uint8Array.from([...varint(field << 3 | LENGTH), ...varint(content.length)]),
    content,
  ]);
}

function text(field: number, value: string): Uint8Array {
  return nested(field, new TextEncoder().encode(value));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Event: wall_time 1, step 2, file_version 3, summary 5, session_log 7. */
function event(step: number, what: Uint8Array): Uint8Array {
  return joined([double(1, Date.now() / 1000), whole(2, step), what]);
}

/** DT_STRING of types.proto. */
const STRING = 7;

/** A text as TensorBoard's text plugin takes it: a tensor of one string, with the plugin's name. */
function textValue(tag: string, value: string): Uint8Array {
  const metadata = nested(9, nested(1, text(1, "text")));
  const shape = nested(2, nested(2, whole(1, 1)));
  return nested(1, text(1, tag), metadata, nested(8, whole(1, STRING), shape, text(8, value)));
}

/** An event file that is being written, one record after another. */
export class EventFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /**
   * Begins a file of its own in a folder, which may hold those of earlier runs: readers take them in the order of their names.
   * @param folder The folder, made where it is not there
   * @param options `step`: what earlier files say of this step and later ones no longer holds
   * @throws {PacacError} io
   */
  constructor(folder: string, options: { readonly step: number }) {
    makeFolder(folder);
    this.#path = join(folder, nextName(folder));
    this.#file = withFile(
      this.#path,
      () => Deno.openSync(this.#path, { write: true, createNew: true }),
      "Cannot write",
    );
    this.#write(joined([double(1, Date.now() / 1000), text(3, FILE_VERSION)]));
    // SessionLog: status 1 = START (1).
    this.#write(event(options.step, nested(7, whole(1, 1))));
  }

  /**
   * Adds numbers of a step.
   * @param step The step
   * @param values By tag; float32 is what readers see
   * @throws {PacacError} io
   */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const list = Object.entries(values).map(([tag, value]) =>
      nested(1, text(1, tag), float(2, value))
    );
    this.#write(event(step, nested(5, ...list)));
  }

  /**
   * Adds a text of a step.
   * @param step The step
   * @param tag What it is
   * @param value Markdown
   * @throws {PacacError} io
   */
  text(step: number, tag: string, value: string): void {
    this.#write(event(step, nested(5, textValue(tag, value))));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #write(message: Uint8Array): void {
    withFile(this.#path, () => writeAll(this.#file, record(message)), "Cannot write");
  }
}

const NAME = /^events\.out\.tfevents\.(\d{10})\./;

/** Names sort by their second: a file of the same second as the newest takes the next. */
function nextName(folder: string): string {
  const names = withFile(folder, () => [...Deno.readDirSync(folder)].map(({ name }) => name));
  const seconds = names.map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  const second = Math.max(Math.floor(Date.now() / 1000), ...seconds.map((value) => value + 1));
  return `events.out.tfevents.${`${second}`.padStart(10, "0")}.pacac`;
}
