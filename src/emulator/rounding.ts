/**
 * Rounding of exact values to float32, bfloat16 and half, as PTX states it. An exact value is given as a double and the
 * sign of what the double lacks (its residual), so that nothing is rounded twice.
 * @module
 */

/** Nearest even, to zero, down, up. */
export type Rounding = "rn" | "rz" | "rm" | "rp";

const f32 = new Float32Array(1);
const bits32 = new Int32Array(f32.buffer);

/**
 * Bits of a float32.
 * @param value A number; it is rounded to float32
 */
export function bitsOf(value: number): number {
  f32[0] = value;
  return bits32[0];
}

/**
 * A float32 by its bits.
 * @param bits 32 bits
 */
function floatOf(bits: number): number {
  bits32[0] = bits;
  return f32[0];
}

/**
 * Subnormal float32 values become 0 of their sign.
 * @param x A value
 */
export function flush(x: number): number {
  return x < 1.1754943508222875e-38 && x > -1.1754943508222875e-38 ? x * 0 : x;
}

/**
 * To 0…1; NaN becomes 0.
 * @param x A value
 */
export function saturate(x: number): number {
  return x > 0 ? (x < 1 ? x : 1) : 0;
}

/**
 * fma.rn.f32. The product of two float32 is exact in double; the sum is rounded to double and then to float32, which is
 * one rounding too many only where the double lies half way between two float32.
 * @param a float32
 * @param b float32
 * @param c float32
 */
export function fma32(a: number, b: number, c: number): number {
  const p = a * b;
  const s = p + c;
  const f = Math.fround(s);
  const r = s - f;
  if (r === 0) return f;
  const other = f + 2 * r;
  if (Math.fround(other) !== other) return f;
  const part = s - p;
  const lacks = (p - (s - part)) + (c - part);
  return lacks === 0 || lacks > 0 !== r > 0 ? f : other;
}

/**
 * What a + b in double lacks: s + e is exact.
 * @param a double
 * @param b double
 */
export function sumResidual(a: number, b: number): number {
  const s = a + b;
  const part = s - a;
  return (a - (s - part)) + (b - part);
}

/** What a · b in double lacks (Dekker, Veltkamp); without care for overflow. */
function productResidual(a: number, b: number): number {
  const p = a * b;
  const ca = 134217729 * a;
  const ah = ca - (ca - a);
  const al = a - ah;
  const cb = 134217729 * b;
  const bh = cb - (cb - b);
  const bl = b - bh;
  return al * bl - (((p - ah * bh) - al * bh) - ah * bl);
}

const f64 = new Float64Array(1);
const words64 = new Int32Array(f64.buffer);

/** a + b rounded to odd: a later rounding to fewer bits is right then. */
function oddSum(a: number, b: number): number {
  const s = a + b;
  const e = sumResidual(a, b);
  if (e === 0 || !Number.isFinite(s)) return s;
  f64[0] = s;
  if ((words64[0] & 1) !== 0) return s;
  // One step towards the exact value gives the odd neighbour.
  const away = e > 0 === s > 0;
  const low = words64[0];
  words64[0] = away ? low | 1 : low - 1;
  if (!away && low === 0) words64[1]--;
  return f64[0];
}

/**
 * fma.rn.f64 (Boldo and Melquiond: the middle sum is rounded to odd).
 * @param a double
 * @param b double
 * @param c double
 */
export function fma64(a: number, b: number, c: number): number {
  const p = a * b;
  const rest = productResidual(a, b);
  if (!Number.isFinite(p) || !Number.isFinite(rest)) return p + c;
  const u = c + rest;
  const ul = sumResidual(c, rest);
  const t = p + u;
  const tl = sumResidual(p, u);
  return t + oddSum(tl, ul);
}

/**
 * An exact value rounded to float32.
 * @param value Its double
 * @param lacks Sign of exact − value
 * @param rounding Mode
 */
export function roundTo32(value: number, lacks: number, rounding: Rounding): number {
  const f = Math.fround(value);
  if (rounding !== "rn") {
    const over = value === f ? lacks : value - f;
    return directed(f, over, rounding);
  }
  const r = value - f;
  const other = f + 2 * r;
  if (lacks === 0 || r === 0 || Math.fround(other) !== other) return f;
  return lacks > 0 === r > 0 ? other : f;
}

/**
 * The float32 that a directed mode gives.
 * @param f A float32 neighbour of the exact value
 * @param over Sign of exact − f
 * @param rounding Mode
 */
export function directed(f: number, over: number, rounding: Rounding): number {
  if (Number.isNaN(f) || over === 0 || Number.isNaN(over) || rounding === "rn") return f;
  const down = rounding === "rm" || (rounding === "rz" && (f > 0 || (f === 0 && over > 0)));
  if (down) return over < 0 ? neighbour(f, -1) : f;
  return over > 0 ? neighbour(f, 1) : f;
}

/** The next float32 below or above. */
function neighbour(f: number, direction: 1 | -1): number {
  if (f === 0) return floatOf(direction > 0 ? 1 : 0x8000_0001 | 0);
  const bits = bitsOf(f);
  return floatOf(bits + (f > 0 === direction > 0 ? 1 : -1));
}

/** Float32 bits of an exact value rounded to odd, from which bf16 and half are one rounding away. */
function oddBits(value: number, lacks: number): number {
  const f = Math.fround(value);
  const over = value === f ? lacks : value - f;
  const bits = bitsOf(f);
  if (over === 0 || Number.isNaN(over)) return bits;
  if (f === 0) return over > 0 ? 1 : 0x8000_0001 | 0;
  if (!Number.isFinite(f)) return bits - 1 | 1;
  return (over > 0 === f > 0 ? bits : bits - 1) | 1;
}

/**
 * Bits of the nearest bfloat16 of float32 bits.
 * @param bits float32
 */
export function bf16OfBits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return 0x7fff;
  return (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
}

/** Bits of the nearest half of float32 bits. */
function halfOfBits(bits: number): number {
  const sign = bits >>> 16 & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return 0x7fff;
  if (magnitude >= 0x4780_0000) return sign | 0x7c00;
  // Below 2^-14 a half is a multiple of 2^-24: adding 2^52 rounds to whole multiples, ties to even.
  if (magnitude < 0x3880_0000) {
    return sign | (floatOf(magnitude) * 2 ** 24 + 2 ** 52 - 2 ** 52);
  }
  return sign | (magnitude - 0x3800_0000 + 0xfff + (magnitude >>> 13 & 1)) >>> 13;
}

/** A 16-bit float format. */
export interface Narrow {
  /** Values by their 16 bits. */
  readonly values: Float32Array;
  /** Nearest of an exact value (double and sign of what it lacks). */
  readonly nearest: (value: number, lacks: number) => number;
}

function valuesOf(value: (bits: number) => number): Float32Array {
  return Float32Array.from({ length: 65536 }, (_, bits) => value(bits));
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >>> 10 & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

/** The 16-bit formats by the name of their type. */
export const NARROW: Readonly<Record<"bf16" | "f16", Narrow>> = {
  bf16: {
    values: valuesOf((bits) => floatOf(bits << 16)),
    nearest: (value, lacks) => bf16OfBits(oddBits(value, lacks)),
  },
  f16: {
    values: valuesOf(halfValue),
    nearest: (value, lacks) => halfOfBits(oddBits(value, lacks)),
  },
};

/**
 * Bits of a 16-bit float in a mode.
 * @param type bf16 or f16
 * @param value float32
 * @param rounding Mode
 */
export function narrow(type: "bf16" | "f16", value: number, rounding: Rounding): number {
  const { values, nearest } = NARROW[type];
  const bits = nearest(value, 0);
  const over = value - values[bits];
  if (rounding === "rn" || over === 0 || Number.isNaN(over)) return bits;
  const negative = bits >>> 15 === 1;
  const toZero = rounding === "rz" || (rounding === "rm" ? value > 0 : value < 0);
  const isPast = over > 0 === negative;
  if (toZero) return isPast ? bits - 1 : bits;
  return isPast ? bits : bits + 1;
}

/**
 * Whole number nearest to x, ties to even.
 * @param x A value
 */
export function roundEven(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude < 2 ** 52)) return x;
  const whole = magnitude + 2 ** 52 - 2 ** 52;
  return x < 0 || Object.is(x, -0) ? -whole : whole;
}

/**
 * Values rounded to bfloat16, as bits.
 * @param values float32 values
 */
export function toBf16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: values.length }, (_, i) => bf16OfBits(bitsOf(values[i])));
}
