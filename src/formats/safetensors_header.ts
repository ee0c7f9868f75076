/**
 * The header of a safetensors file, checked as if an enemy wrote it.
 *
 * A file is: 8 bytes, the header's length as a little-endian u64; the header, JSON padded with spaces; the tensors' bytes,
 * one after another without holes. After these checks every [byteOffset, byteOffset + byteLength) lies in the file, has
 * exactly the size of its shape, and overlaps no other.
 * @module
 */
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { type Dtype, DTYPE_SIZES, isDtype } from "./dtype.ts";
import { parseJson } from "./files.ts";
import { duplicateKey } from "./json_keys.ts";

/** Longest header that is read; the format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

/** One tensor of a file. */
export interface TensorInfo {
  readonly name: string;
  /** The file it is in. */
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Of its first byte, from the file's start. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A file's header. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Where a header lies. */
export interface HeaderPlace {
  readonly file: string;
  readonly fileSize: number;
}

const count = z.number().refine(
  (n) => Number.isSafeInteger(n) && n >= 0,
  "must be a whole number from 0 to 2^53 - 1",
);
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(count),
  data_offsets: z.tuple([count, count]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * The error for a file that cannot be trusted.
 * @param message What is wrong
 * @param place File and tensor
 */
export function invalid(
  message: string,
  place: { readonly file: string; readonly field?: string },
): PacacError {
  const remedy = "the file is damaged or was not written as safetensors: get it again";
  return new PacacError("safetensors-invalid", message, { place, remedy });
}

/**
 * Reads the header's length from the file's first 8 bytes.
 * @param prefix The first bytes of the file (fewer than 8 where it is shorter)
 * @param place The file and its size
 */
export function headerLength(prefix: Uint8Array, place: HeaderPlace): number {
  if (prefix.length < 8) {
    throw invalid(`Cannot read header: the file has ${prefix.length} bytes, not even 8`, {
      file: place.file,
    });
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    const message = `Cannot read header: ${length} bytes are more than ${MAX_HEADER_BYTES}`;
    throw invalid(message, { file: place.file });
  }
  if (Number(length) > place.fileSize - 8) {
    const message = `Cannot read header: ${length} bytes, but the file ends after ${
      place.fileSize - 8
    }`;
    throw invalid(message, { file: place.file });
  }
  return Number(length);
}

/**
 * Parses and checks a header.
 * @param bytes The header's JSON
 * @param place The file and its size
 * @throws {PacacError} `safetensors-invalid`
 */
export function parseHeader(bytes: Uint8Array<ArrayBuffer>, place: HeaderPlace): SafetensorsHeader {
  const { file } = place;
  if (bytes[0] !== 0x7b) throw invalid("Cannot read header: it does not start with {", { file });
  const json = parseJson(bytes, { code: "safetensors-invalid", place: { file } });
  const twice = duplicateKey(new TextDecoder().decode(bytes));
  if (twice !== undefined) {
    throw invalid("Cannot read header: the name is there twice", { file, field: twice });
  }
  const entries: [string, unknown][] = Object.entries(Object(json));
  const dataStart = 8 + bytes.length;
  const tensors = entries.filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => parseEntry(name, value, { file, dataStart }));
  checkLayout(tensors, { ...place, dataStart });
  const metadata = entries.find(([name]) => name === "__metadata__")?.[1] ?? {};
  return {
    metadata: parseMetadata(metadata, file),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}

function parseMetadata(value: unknown, file: string): Readonly<Record<string, string>> {
  const parsed = metadataSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid("Cannot read header: values of __metadata__ must be texts", {
    file,
    field: "__metadata__",
  });
}

function parseEntry(
  name: string,
  value: unknown,
  at: { readonly file: string; readonly dataStart: number },
): TensorInfo {
  const place = { file: at.file, field: name };
  if (name === "") throw invalid("Cannot read header: a tensor has an empty name", place);
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join(".") ?? "";
    throw invalid(
      `Cannot read tensor: ${field === "" ? "" : `${field}: `}${issue?.message}`,
      place,
    );
  }
  const { dtype, shape, data_offsets: [begin, end] } = parsed.data;
  if (!isDtype(dtype)) {
    const known = Object.keys(DTYPE_SIZES).join(", ");
    throw invalid(`Cannot read tensor: dtype "${dtype}" is none of ${known}`, place);
  }
  const size = byteSize(shape, dtype);
  if (size === undefined || end - begin !== size) {
    const need = size === undefined ? "more than 2^53" : size;
    const message = `Cannot read tensor: ${dtype} [${shape.join(", ")}] has ${need} bytes, ` +
      `its data_offsets ${begin} to ${end} hold ${end - begin}`;
    throw invalid(message, place);
  }
  const byteOffset = at.dataStart + begin;
  return { name, file: at.file, dtype, shape, byteOffset, byteLength: size };
}

/**
 * Bytes of a tensor, or undefined where a double cannot count them.
 * @param shape Its shape
 * @param dtype Its element type
 */
export function byteSize(shape: readonly number[], dtype: Dtype): number | undefined {
  let size: number = DTYPE_SIZES[dtype];
  if (shape.includes(0)) return 0;
  for (const n of shape) {
    size *= n;
    if (!Number.isSafeInteger(size)) return undefined;
  }
  return size;
}

// Sorted by offset, each tensor starts where the one before ends, and the last ends with the file.
function checkLayout(
  tensors: readonly TensorInfo[],
  at: HeaderPlace & { readonly dataStart: number },
): void {
  const sorted = [...tensors].sort((a, b) =>
    a.byteOffset - b.byteOffset || a.byteLength - b.byteLength
  );
  let end = at.dataStart;
  for (const { name, byteOffset, byteLength } of sorted) {
    if (byteOffset !== end) {
      const fault = byteOffset < end ? "overlaps the one before" : "leaves a hole before it";
      throw invalid(`Cannot read tensor: it ${fault}`, { file: at.file, field: name });
    }
    end += byteLength;
  }
  if (end !== at.fileSize) {
    const message = `Cannot read tensors: they end at byte ${end}, the file at ${at.fileSize}`;
    throw invalid(message, { file: at.file });
  }
}
