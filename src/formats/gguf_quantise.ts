/**
 * float32 to the element types that pacac writes, with the rounding of llama.cpp's reference quantisers.
 *
 * Q8_0: d = max|x| / 127, q = x·(1/d) rounded half away from zero. Q4_0: d = x_m / −8 where x_m is the first of largest
 * magnitude, so that it gets q = 0 exactly; q = min(15, trunc(x·(1/d) + 8.5)). Each step is rounded to float32; d is
 * stored as float16, though q comes from the unrounded one. F16 and BF16: nearest, ties to even.
 * @module
 */
import { invariant, PacacError } from "../errors.ts";
import { fromFloat32 } from "./dtype.ts";
import { GGUF_DTYPES, type GgufDtype } from "./gguf_types.ts";

/** Element types that are written. */
export const WRITTEN_DTYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0"] as const;
/** One of them. */
export type WrittenDtype = typeof WRITTEN_DTYPES[number] & GgufDtype;

/** 65504 is float16's largest; what is from here on would round to infinity. */
const BEYOND_F16 = 65520;

/**
 * Stores float32 values as another type.
 * @param values The values; whole blocks of them
 * @param dtype The type
 * @param name Name of the tensor, for messages
 * @throws {PacacError} `weights-mismatch` where a value or a scale is no number that float16 holds
 */
export function quantise(
  values: Float32Array,
  dtype: WrittenDtype,
  { name }: { readonly name: string },
): Uint8Array {
  const { elements, bytes } = GGUF_DTYPES[dtype];
  const blocks = values.length / elements;
  invariant(Number.isInteger(blocks), `${name}: ${values.length} values are no whole blocks`);
  if (dtype === "F32" || dtype === "BF16") return fromFloat32(values, dtype);
  checkRange(values, { dtype, name });
  if (dtype === "F16") return fromFloat32(values, dtype);
  const out = new Uint8Array(blocks * bytes);
  const encode = dtype === "Q8_0" ? q8 : q4;
  for (let i = 0; i < blocks; i++) {
    encode(values.subarray(i * elements, (i + 1) * elements), out.subarray(i * bytes));
  }
  return out;
}

function checkRange(
  values: Float32Array,
  { dtype, name }: { readonly dtype: WrittenDtype; readonly name: string },
): void {
  const most = { F32: 0, BF16: 0, F16: 1, Q8_0: 127, Q4_0: 8 }[dtype] * BEYOND_F16;
  let fits = true;
  // Written so that NaN is refused too.
  for (const value of values) fits = fits && Math.abs(value) < most;
  if (fits) return;
  throw new PacacError("weights-mismatch", `Cannot write tensor: a value does not fit ${dtype}`, {
    place: { field: name },
    remedy: "choose bf16 or f32, or look at why the weights are so large",
  });
}

// Writes d as float16, and gives 1/d as it stands before that rounding.
function putScale(scale: number, block: Uint8Array): number {
  const d = Math.fround(scale);
  new DataView(block.buffer, block.byteOffset).setFloat16(0, d, true);
  return d === 0 ? 0 : Math.fround(1 / d);
}

function q8(values: Float32Array, block: Uint8Array): void {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  const inverse = putScale(most / 127, block);
  for (let j = 0; j < 32; j++) {
    const scaled = Math.fround((values[j] ?? 0) * inverse);
    // Stored modulo 256: negative numbers as two's complement.
    block[2 + j] = scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5);
  }
}

function q4(values: Float32Array, block: Uint8Array): void {
  let peak = 0;
  for (const value of values) if (Math.abs(value) > Math.abs(peak)) peak = value;
  const inverse = putScale(peak / -8, block);
  for (let j = 0; j < 16; j++) {
    const low = level(values[j] ?? 0, inverse);
    block[2 + j] = low | level(values[j + 16] ?? 0, inverse) << 4;
  }
}

function level(value: number, inverse: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)));
}
