/**
 * Reading safetensors files tensor by tensor; the whole file never lies in memory.
 * @module
 */
import { PacacError } from "../errors.ts";
import { isFloat, toFloat32 } from "./dtype.ts";
import { fileSize, readAt, withFile } from "./files.ts";
import {
  headerLength,
  invalid,
  parseHeader,
  type SafetensorsHeader,
  type TensorInfo,
} from "./safetensors_header.ts";

/** A file whose header was read and checked. */
export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
}

/**
 * Reads and checks a file's header; the tensors stay on the disk.
 * @param path The file
 * @throws {PacacError} `safetensors-invalid` where it is damaged, `io` where it cannot be read
 */
export function openSafetensors(path: string): SafetensorsFile {
  const size = fileSize(path);
  if (size === undefined) {
    throw new PacacError("io", "Cannot read the file: it is not there", { place: { file: path } });
  }
  const place = { file: path, fileSize: size };
  return withFile(path, () => {
    using file = Deno.openSync(path);
    const prefix = new Uint8Array(8);
    const length = headerLength(prefix.subarray(0, readAt(file, prefix, { offset: 0 })), place);
    const header = new Uint8Array(length);
    if (readAt(file, header, { offset: 8 }) < length) {
      throw invalid("Cannot read header: the file became shorter", { file: path });
    }
    return { path, ...parseHeader(header, place) };
  });
}

/**
 * A tensor of a file by name.
 * @param file The opened file
 * @param name The tensor's name
 * @throws {PacacError} `weights-mismatch` where there is none
 */
export function tensorOf(file: SafetensorsFile, name: string): TensorInfo {
  const tensor = file.tensors.get(name);
  if (tensor !== undefined) return tensor;
  throw new PacacError("weights-mismatch", "Cannot read tensor: the file has none of that name", {
    place: { file: file.path, field: name },
  });
}

/** A part of a tensor's bytes. */
export interface ByteRange {
  /** First byte, from the tensor's start. */
  readonly begin: number;
  /** Byte after the last. */
  readonly end: number;
}

/**
 * Reads a tensor's bytes, or a part of them.
 * @param tensor The tensor
 * @param range Which part; all of it by default
 */
export function readBytes(
  tensor: TensorInfo,
  range: ByteRange = { begin: 0, end: tensor.byteLength },
): Uint8Array<ArrayBuffer> {
  const { begin, end } = range;
  if (!(0 <= begin && begin <= end && end <= tensor.byteLength)) {
    throw new RangeError(`Bytes ${begin} to ${end} are not within ${tensor.byteLength}`);
  }
  return withFile(tensor.file, () => {
    using file = Deno.openSync(tensor.file);
    const bytes = new Uint8Array(end - begin);
    if (readAt(file, bytes, { offset: tensor.byteOffset + begin }) < bytes.length) {
      const place = { file: tensor.file, field: tensor.name };
      throw invalid("Cannot read tensor: the file became shorter", place);
    }
    return bytes;
  });
}

/**
 * A tensor's bytes in parts, so that a large one can be copied without lying in memory.
 * @param tensor The tensor
 * @param size Bytes a part
 */
export function* byteChunks(tensor: TensorInfo, size = 1 << 22): Generator<Uint8Array> {
  for (let begin = 0; begin < tensor.byteLength; begin += size) {
    yield readBytes(tensor, { begin, end: Math.min(begin + size, tensor.byteLength) });
  }
}

/**
 * Reads a tensor of floats as float32; BF16 and F16 are widened, F64 is rounded.
 * @param tensor The tensor
 * @throws {PacacError} `weights-mismatch` where it holds whole numbers
 */
export function readFloat32(tensor: TensorInfo): Float32Array {
  if (isFloat(tensor.dtype)) return toFloat32(readBytes(tensor), tensor.dtype);
  throw wrongDtype(tensor, "F64, F32, F16 or BF16");
}

/**
 * Reads a tensor of whole numbers as int32.
 * @param tensor The tensor, I64 or I32
 * @throws {PacacError} `weights-mismatch` where it holds something else, or a number beyond int32
 */
export function readInt32(tensor: TensorInfo): Int32Array {
  if (tensor.dtype === "I32") return new Int32Array(readBytes(tensor).buffer);
  if (tensor.dtype !== "I64") throw wrongDtype(tensor, "I64 or I32");
  const wide = new BigInt64Array(readBytes(tensor).buffer);
  const out = new Int32Array(wide.length);
  wide.forEach((value, i) => {
    if (BigInt.asIntN(32, value) !== value) {
      throw new PacacError("weights-mismatch", `Cannot read tensor: ${value} is beyond int32`, {
        place: { file: tensor.file, field: tensor.name },
      });
    }
    out[i] = Number(value);
  });
  return out;
}

function wrongDtype(tensor: TensorInfo, need: string): PacacError {
  const message = `Cannot read tensor: its dtype is ${tensor.dtype}, ${need} is needed`;
  return new PacacError("weights-mismatch", message, {
    place: { file: tensor.file, field: tensor.name },
  });
}
