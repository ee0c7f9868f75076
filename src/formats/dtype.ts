/**
 * Element types of safetensors files, and conversions between them and float32.
 *
 * Typed arrays have the machine's byte order; pacac's targets (x86-64, arm64) are little-endian, as the files are.
 * @module
 */

/** Bytes an element, by element type; the order is that in which a file stores tensors. */
export const DTYPE_SIZES = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/** An element type. */
export type Dtype = keyof typeof DTYPE_SIZES;
/** Element types with a fraction. */
export type FloatDtype = "F64" | "F32" | "F16" | "BF16";

/**
 * Whether a text names an element type.
 * @param text Any text
 */
export function isDtype(text: string): text is Dtype {
  return Object.hasOwn(DTYPE_SIZES, text);
}

/**
 * Whether an element type has a fraction.
 * @param dtype The type
 */
export function isFloat(dtype: Dtype): dtype is FloatDtype {
  return dtype === "F64" || dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/**
 * Widens stored floats to float32 (F64 is rounded).
 * @param bytes The stored elements, at offset 0 of their buffer
 * @param dtype Their type
 */
export function toFloat32(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype): Float32Array {
  const { buffer } = bytes;
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return new Float32Array(new Float16Array(buffer));
  if (dtype === "F64") return new Float32Array(new Float64Array(buffer));
  return fromBf16(new Uint16Array(buffer));
}

/**
 * Stores float32 values as another type, each rounded to the nearest, ties to even.
 * @param values The values
 * @param dtype The stored type
 */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): Uint8Array {
  const stored = storedArray(values, dtype);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function storedArray(
  values: Float32Array,
  dtype: FloatDtype,
): Float32Array | Float16Array | Float64Array | Uint16Array {
  if (dtype === "F32") return values;
  if (dtype === "F16") return new Float16Array(values);
  if (dtype === "F64") return new Float64Array(values);
  return toBf16(values);
}

/**
 * bfloat16 bits as float32: the upper half of the same number.
 * @param bits The stored numbers
 */
export function fromBf16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i] ?? 0) << 16;
  return new Float32Array(out.buffer);
}

/**
 * float32 as bfloat16 bits, rounded to the nearest, ties to even; a NaN stays one.
 * @param values The numbers
 */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i] ?? 0;
    const upper = b >>> 16;
    // Adding 0x7fff, and 1 more where the kept half is odd, carries exactly when the rest rounds up.
    const isNan = (b & 0x7fffffff) > 0x7f800000;
    out[i] = isNan ? upper | 0x40 : (b + 0x7fff + (upper & 1)) / 0x10000;
  }
  return out;
}
