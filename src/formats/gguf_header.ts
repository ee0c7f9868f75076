/**
 * The header of a GGUF file, versions 2 and 3, checked as if an enemy wrote it.
 *
 * A file is: "GGUF"; the version, u32; counts of tensors and of keys, u64; keys with typed values; for each tensor its
 * name, sizes (innermost first), type and offset; padding to `general.alignment`; the tensors' bytes. All little-endian.
 * After these checks every [byteOffset, byteOffset + byteLength) is aligned, lies in the file behind the header, has
 * exactly the size of its shape, and overlaps no other.
 * @module
 */
import { PacacError } from "../errors.ts";
import { fileSize, withFile } from "./files.ts";
import { GgufCursor, ggufInvalid } from "./gguf_cursor.ts";
import {
  ARRAY_TYPE,
  dtypeOfId,
  GGUF_DTYPES,
  ggufByteSize,
  type GgufDtype,
  type GgufMetadata,
  type GgufValue,
  valueTypeOfId,
} from "./gguf_types.ts";

/** "GGUF" as a little-endian number. */
export const GGUF_MAGIC = 0x46554747;
/** Alignment of tensors where a file does not say. */
export const DEFAULT_ALIGNMENT = 32;
/** The key that says. */
export const ALIGNMENT_KEY = "general.alignment";

const MAX_KEYS = 65536;
const MAX_TENSORS = 65536;
const MAX_KEY_BYTES = 65535;
const MAX_NAME_BYTES = 127;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 1 << 20;

/** One tensor of a file. */
export interface GgufTensor {
  readonly name: string;
  /** The file it is in. */
  readonly file: string;
  readonly dtype: GgufDtype;
  /** Rows first, as in PyTorch; the file has it the other way round. */
  readonly shape: readonly number[];
  /** Of its first byte, from the file's start. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A file whose header was read and checked. */
export interface GgufFile {
  readonly path: string;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/**
 * Reads and checks a file's header; the tensors stay on the disk.
 * @param path The file
 * @throws {PacacError} `gguf-invalid` with the byte where it is damaged, `io` where it cannot be read
 */
export function openGgufFile(path: string): GgufFile {
  const size = fileSize(path);
  if (size === undefined) {
    throw new PacacError("io", "Cannot read the file: it is not there", { place: { file: path } });
  }
  return withFile(path, () => {
    using file = Deno.openSync(path);
    const cursor = new GgufCursor(file, { path, size });
    const version = readVersion(cursor, path);
    // Least bytes of a tensor: name of 1, one size, type, offset; of a key: 1, type, a byte.
    const tensorCount = cursor.count("tensors", { most: MAX_TENSORS, bytesEach: 33 });
    const keyCount = cursor.count("keys", { most: MAX_KEYS, bytesEach: 14 });
    const metadata = readMetadata(cursor, keyCount);
    const alignment = alignmentOf(metadata, path);
    const raw = Array.from({ length: tensorCount }, () => readTensor(cursor));
    const start = Math.ceil(cursor.position / alignment) * alignment;
    const tensors = raw.map((tensor) => placeTensor(tensor, { path, size, start, alignment }));
    checkLayout(tensors);
    return { path, version, metadata, tensors: byName(tensors) };
  });
}

function readVersion(cursor: GgufCursor, file: string): number {
  if (cursor.u32() !== GGUF_MAGIC) {
    throw ggufInvalid("Cannot read header: it does not start with GGUF", { file, byte: 0 });
  }
  const version = cursor.u32();
  if (version === 2 || version === 3) return version;
  const place = { file, byte: 4 };
  if ((version & 0xffff) === 0) {
    const way = "convert it to little-endian, as gguf-convert-endian does";
    throw ggufInvalid("Cannot read header: the file is big-endian", place, way);
  }
  const way = "versions 2 and 3 are read: convert the model again with a current llama.cpp";
  throw ggufInvalid(`Cannot read header: its version is ${version}`, place, way);
}

function readMetadata(cursor: GgufCursor, count: number): GgufMetadata {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const byte = cursor.position;
    const key = cursor.string("a key", MAX_KEY_BYTES);
    if (key === "") throw cursor.fail("a key is empty", { byte });
    if (metadata.has(key)) throw cursor.fail("the key is there twice", { byte, field: key });
    metadata.set(key, readValue(cursor, key));
  }
  return metadata;
}

function readValue(cursor: GgufCursor, field: string): GgufValue {
  const byte = cursor.position;
  const id = cursor.u32();
  const type = valueTypeOfId(id);
  if (type !== undefined) return { type, value: cursor.scalar(type, field) };
  if (id !== ARRAY_TYPE) throw cursor.fail(`there is no type ${id} of values`, { byte, field });
  const of = cursor.u32();
  const elementType = valueTypeOfId(of);
  if (elementType !== undefined) {
    return { type: "array", of: elementType, values: cursor.elements(elementType, field) };
  }
  const state = of === ARRAY_TYPE ? "arrays of arrays are not read" : `there is no type ${of}`;
  throw cursor.fail(state, { byte: byte + 4, field });
}

function alignmentOf(metadata: GgufMetadata, file: string): number {
  const found = metadata.get(ALIGNMENT_KEY);
  if (found === undefined) return DEFAULT_ALIGNMENT;
  const value = found.type === "u32" ? Number(found.value) : NaN;
  const isPower = Number.isInteger(Math.log2(value));
  if (isPower && value >= 8 && value <= MAX_ALIGNMENT) return value;
  const state = `it must be a u32, a power of two from 8 to ${MAX_ALIGNMENT}`;
  throw ggufInvalid(`Cannot read header: ${state}`, { file, field: ALIGNMENT_KEY });
}

interface RawTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: GgufDtype;
  readonly byteLength: number;
  readonly offset: bigint;
  /** Where the offset stands in the header. */
  readonly offsetByte: number;
}

function readTensor(cursor: GgufCursor): RawTensor {
  const byte = cursor.position;
  const name = cursor.string("a tensor's name", MAX_NAME_BYTES);
  if (name === "") throw cursor.fail("a tensor's name is empty", { byte });
  const fail = (state: string, at: number) => cursor.fail(state, { byte: at, field: name });
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw fail(`${dimensions} dimensions, there must be 1 to 4`, cursor.position - 4);
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const size = cursor.u64();
    if (size < 1n || size > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw fail(`a size is ${size}`, cursor.position - 8);
    }
    shape.unshift(Number(size));
  }
  const typeByte = cursor.position;
  const id = cursor.u32();
  const dtype = dtypeOfId(id);
  if (dtype === undefined) {
    const known = Object.keys(GGUF_DTYPES).join(", ");
    throw fail(`element type ${id} is none of ${known}`, typeByte);
  }
  const byteLength = ggufByteSize(shape, dtype);
  if (byteLength === undefined) {
    throw fail(`${dtype} [${shape.join(", ")}] is no whole number of blocks`, typeByte);
  }
  const offsetByte = cursor.position;
  return { name, shape, dtype, byteLength, offset: cursor.u64(), offsetByte };
}

function placeTensor(
  raw: RawTensor,
  at: {
    readonly path: string;
    readonly size: number;
    readonly start: number;
    readonly alignment: number;
  },
): GgufTensor {
  const { name, shape, dtype, byteLength, offset } = raw;
  const place = { file: at.path, byte: raw.offsetByte, field: name };
  if (offset % BigInt(at.alignment) !== 0n) {
    const state = `its offset ${offset} is no multiple of ${at.alignment}`;
    throw ggufInvalid(`Cannot read tensor: ${state}`, place);
  }
  const end = BigInt(at.start) + offset + BigInt(byteLength);
  if (end > BigInt(at.size)) {
    const state = `it ends at byte ${end}, the file at ${at.size}`;
    throw ggufInvalid(`Cannot read tensor: ${state}`, place);
  }
  const byteOffset = at.start + Number(offset);
  return { name, file: at.path, dtype, shape, byteOffset, byteLength };
}

function checkLayout(tensors: readonly GgufTensor[]): void {
  const sorted = [...tensors].sort((a, b) => a.byteOffset - b.byteOffset);
  let end = 0;
  for (const { name, file, byteOffset, byteLength } of sorted) {
    if (byteOffset < end) {
      const place = { file, byte: byteOffset, field: name };
      throw ggufInvalid("Cannot read tensor: it overlaps the one before", place);
    }
    end = byteOffset + byteLength;
  }
}

function byName(tensors: readonly GgufTensor[]): ReadonlyMap<string, GgufTensor> {
  const map = new Map<string, GgufTensor>();
  for (const tensor of tensors) {
    const { name, file, byteOffset } = tensor;
    if (map.has(name)) {
      const place = { file, byte: byteOffset, field: name };
      throw ggufInvalid("Cannot read tensor: the name is there twice", place);
    }
    map.set(name, tensor);
  }
  return map;
}
