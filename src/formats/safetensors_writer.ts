/**
 * Writing safetensors files: streamed, in one order for the same tensors, published whole or not at all.
 * @module
 */
import { invariant, must } from "../errors.ts";
import { publish, writeAll } from "./atomic.ts";
import { type Dtype, DTYPE_SIZES } from "./dtype.ts";
import { byteSize, MAX_HEADER_BYTES } from "./safetensors_header.ts";

/** A tensor to write. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Its bytes, or a function called when its turn comes that makes them part by part. */
  readonly bytes: Uint8Array | (() => Iterable<Uint8Array>);
}

/** Settings of {@linkcode writeSafetensors}. */
export interface WriteOptions {
  /** Texts stored beside the tensors; transformers wants `format: "pt"`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a file: tensors by falling element size, then by name, so that each is aligned and the bytes depend on the
 * tensors only; header padded with spaces to a multiple of 8.
 * @param path The file
 * @param tensors The tensors, in any order
 * @param options Metadata
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  options: WriteOptions = {},
): void {
  const sorted = [...tensors].sort(compareTensors);
  const header = encodeHeader(sorted, options.metadata ?? {});
  publish(path, (file) => {
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);
    writeAll(file, prefix);
    writeAll(file, header);
    for (const tensor of sorted) writeTensor(file, tensor);
  });
}

function compareTensors(a: TensorToWrite, b: TensorToWrite): number {
  const bySize = DTYPE_SIZES[b.dtype] - DTYPE_SIZES[a.dtype];
  if (bySize !== 0) return bySize;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function sizeOf(tensor: TensorToWrite): number {
  return must(byteSize(tensor.shape, tensor.dtype), `size of tensor ${tensor.name}`);
}

function encodeHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    const texts = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    fields.push(`"__metadata__":{${texts.join(",")}}`);
  }
  const names = new Set(["", "__metadata__"]);
  let begin = 0;
  for (const tensor of tensors) {
    invariant(!names.has(tensor.name), `Tensor name "${tensor.name}" cannot be written (again)`);
    names.add(tensor.name);
    const end = begin + sizeOf(tensor);
    const entry = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] };
    fields.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
    begin = end;
  }
  const text = new TextEncoder().encode(`{${fields.join(",")}}`);
  invariant(text.length <= MAX_HEADER_BYTES - 7, "Safetensors header too long");
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  return padded;
}

function writeTensor(file: Deno.FsFile, tensor: TensorToWrite): void {
  const chunks = typeof tensor.bytes === "function" ? tensor.bytes() : [tensor.bytes];
  let written = 0;
  for (const chunk of chunks) {
    writeAll(file, chunk);
    written += chunk.length;
  }
  invariant(
    written === sizeOf(tensor),
    `Tensor ${tensor.name} has ${written} bytes, its shape ${sizeOf(tensor)}`,
  );
}
