/**
 * Writing GGUF files, version 3: tensor by tensor, aligned, published whole or not at all.
 * @module
 */
import { invariant, must } from "../errors.ts";
import { publish, writeAll } from "./atomic.ts";
import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT, GGUF_MAGIC } from "./gguf_header.ts";
import {
  ARRAY_TYPE,
  GGUF_DTYPES,
  ggufByteSize,
  type GgufDtype,
  type GgufMetadata,
  type GgufScalar,
  type GgufValue,
  VALUE_TYPES,
  type ValueType,
} from "./gguf_types.ts";

/** A tensor to write. */
export interface GgufTensorToWrite {
  readonly name: string;
  readonly dtype: GgufDtype;
  /** Rows first, as in PyTorch. */
  readonly shape: readonly number[];
  /** Its bytes part by part; called when its turn comes. */
  readonly bytes: () => Iterable<Uint8Array>;
}

/**
 * Writes a file; keys and tensors stay in the order given.
 * @param path The file
 * @param content Metadata (without alignment, which is 32) and tensors
 */
export function writeGguf(
  path: string,
  content: {
    readonly metadata: GgufMetadata;
    readonly tensors: readonly GgufTensorToWrite[];
  },
): void {
  invariant(!content.metadata.has(ALIGNMENT_KEY), "The alignment is the writer's own");
  const header = encodeHeader(content);
  publish(path, (file) => {
    writeAll(file, padded(header));
    for (const tensor of content.tensors) writeTensor(file, tensor);
  });
}

function padded(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(aligned(bytes.length));
  out.set(bytes);
  return out;
}

function aligned(length: number): number {
  return Math.ceil(length / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
}

function sizeOf({ name, shape, dtype }: GgufTensorToWrite): number {
  return must(ggufByteSize(shape, dtype), `size of tensor ${name} as ${dtype}`);
}

function encodeHeader(
  { metadata, tensors }: Parameters<typeof writeGguf>[1],
): Uint8Array {
  const out = new HeaderBytes();
  out.scalar("u32", GGUF_MAGIC);
  out.scalar("u32", 3);
  out.scalar("u64", BigInt(tensors.length));
  out.scalar("u64", BigInt(metadata.size));
  for (const [key, value] of metadata) {
    out.scalar("string", key);
    out.value(value);
  }
  const names = new Set([""]);
  let offset = 0;
  for (const tensor of tensors) {
    invariant(!names.has(tensor.name), `Tensor name "${tensor.name}" cannot be written (again)`);
    names.add(tensor.name);
    out.scalar("string", tensor.name);
    out.scalar("u32", tensor.shape.length);
    for (const size of tensor.shape.toReversed()) out.scalar("u64", BigInt(size));
    out.scalar("u32", GGUF_DTYPES[tensor.dtype].id);
    out.scalar("u64", BigInt(offset));
    offset += aligned(sizeOf(tensor));
  }
  return out.bytes();
}

function writeTensor(file: Deno.FsFile, tensor: GgufTensorToWrite): void {
  let written = 0;
  for (const chunk of tensor.bytes()) {
    writeAll(file, chunk);
    written += chunk.length;
  }
  const size = sizeOf(tensor);
  invariant(written === size, `Tensor ${tensor.name} has ${written} bytes, its shape ${size}`);
  writeAll(file, new Uint8Array(aligned(size) - size));
}

/** Bytes that grow. */
class HeaderBytes {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  value(value: GgufValue): void {
    if (value.type !== "array") {
      this.scalar("u32", VALUE_TYPES[value.type]);
      return this.scalar(value.type, value.value);
    }
    this.scalar("u32", ARRAY_TYPE);
    this.scalar("u32", VALUE_TYPES[value.of]);
    this.scalar("u64", BigInt(value.values.length));
    for (const element of value.values) this.scalar(value.of, element);
  }

  scalar(type: ValueType, value: GgufScalar): void {
    if (type === "string") return this.#text(String(value));
    if (type === "u64" || type === "i64") {
      const whole = BigInt(value);
      const view = this.#grow(8);
      return type === "u64" ? view.setBigUint64(0, whole, true) : view.setBigInt64(0, whole, true);
    }
    const number = Number(value);
    switch (type) {
      case "u8":
      case "bool":
        return this.#grow(1).setUint8(0, number);
      case "i8":
        return this.#grow(1).setInt8(0, number);
      case "u16":
        return this.#grow(2).setUint16(0, number, true);
      case "i16":
        return this.#grow(2).setInt16(0, number, true);
      case "u32":
        return this.#grow(4).setUint32(0, number, true);
      case "i32":
        return this.#grow(4).setInt32(0, number, true);
      case "f32":
        return this.#grow(4).setFloat32(0, number, true);
      case "f64":
        return this.#grow(8).setFloat64(0, number, true);
    }
  }

  #text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.scalar("u64", BigInt(bytes.length));
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length - bytes.length);
  }

  #grow(size: number): DataView {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, at + size));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length += size;
    return new DataView(this.#bytes.buffer, at, size);
  }
}
