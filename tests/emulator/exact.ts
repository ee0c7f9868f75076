/**
 * Binary floats in exact arithmetic: the definition that the emulator's rounding is held against.
 * @module
 */

/** A float format. */
export interface Format {
  readonly bits: 16 | 32 | 64;
  /** Bits of the fraction. */
  readonly fraction: number;
}

/** float64, float32, bfloat16, half. */
export const FORMATS = {
  f64: { bits: 64, fraction: 52 },
  f32: { bits: 32, fraction: 23 },
  bf16: { bits: 16, fraction: 7 },
  f16: { bits: 16, fraction: 10 },
} as const;

/** mantissa · 2^exponent */
export interface Exact {
  readonly mantissa: bigint;
  readonly exponent: number;
}

const bias = ({ bits, fraction }: Format) => 2 ** (bits - fraction - 2) - 1;

/** The value of finite bits. @param bits The float @param format Its format */
export function exactOf(bits: bigint, format: Format): Exact {
  const fraction = BigInt(format.fraction);
  const low = bits & (1n << fraction) - 1n;
  const field = Number(bits >> fraction & (1n << BigInt(format.bits - format.fraction - 1)) - 1n);
  const magnitude = field === 0 ? low : low | 1n << fraction;
  const negative = bits >> BigInt(format.bits - 1) !== 0n;
  return {
    mantissa: negative ? -magnitude : magnitude,
    exponent: Math.max(field, 1) - bias(format) - format.fraction,
  };
}

/** a · b @param a Exact @param b Exact */
export function times(a: Exact, b: Exact): Exact {
  return { mantissa: a.mantissa * b.mantissa, exponent: a.exponent + b.exponent };
}

/** a + b @param a Exact @param b Exact */
export function plus(a: Exact, b: Exact): Exact {
  const exponent = Math.min(a.exponent, b.exponent);
  const shifted = (x: Exact) => x.mantissa << BigInt(x.exponent - exponent);
  return { mantissa: shifted(a) + shifted(b), exponent };
}

/** More bits than any format keeps; one more says whether anything lies below them. */
const GUARD = 200n;

/** a / b, exact enough to be rounded: the last bit is set where there is a rest. @param a Exact @param b Exact */
export function over(a: Exact, b: Exact): Exact {
  const numerator = a.mantissa << GUARD;
  const sign = (numerator < 0n) === (b.mantissa < 0n) ? 1n : -1n;
  const magnitude = (x: bigint) => x < 0n ? -x : x;
  const quotient = magnitude(numerator) / magnitude(b.mantissa);
  const sticky = magnitude(numerator) % magnitude(b.mantissa) === 0n ? 0n : 1n;
  return {
    mantissa: sign * (quotient * 2n + sticky),
    exponent: a.exponent - b.exponent - Number(GUARD) - 1,
  };
}

/** The square root of a, as `over` gives quotients. @param a Exact, from 0 */
export function root(a: Exact): Exact {
  const shift = GUARD + BigInt(Math.abs(a.exponent) % 2);
  const value = a.mantissa << shift;
  let low = 0n;
  let high = 1n << BigInt(value.toString(2).length / 2 + 1 | 0);
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle * middle <= value) low = middle;
    else high = middle;
  }
  const sticky = low * low === value ? 0n : 1n;
  return { mantissa: low * 2n + sticky, exponent: (a.exponent - Number(shift)) / 2 - 1 };
}

/**
 * Bits of a value that is not 0, rounded.
 * @param value Exact
 * @param format Of the result
 * @param mode rn, rz, rm, rp
 */
export function rounded({ mantissa, exponent }: Exact, format: Format, mode: string): bigint {
  const negative = mantissa < 0n;
  const magnitude = negative ? -mantissa : mantissa;
  const size = magnitude.toString(2).length;
  const least = 1 - bias(format) - format.fraction;
  // The unit of the last place: as fine as the fraction allows, not finer than subnormals are.
  const unit = Math.max(exponent + size - 1 - format.fraction, least);
  const drop = unit - exponent;
  const kept = drop > 0 ? magnitude >> BigInt(drop) : magnitude << BigInt(-drop);
  const rest = drop > 0 ? magnitude - (kept << BigInt(drop)) : 0n;
  const half = drop > 0 ? 1n << BigInt(drop - 1) : 1n;
  const outwards = mode === "rm" ? negative : mode === "rp" && !negative;
  const away = mode === "rn"
    ? rest > half || (rest === half && (kept & 1n) === 1n)
    : rest > 0n && outwards;
  const result = away ? kept + 1n : kept;
  const sign = negative ? 1n << BigInt(format.bits - 1) : 0n;
  return sign | encode(result, unit, { format, toInfinity: mode === "rn" || outwards });
}

function encode(
  mantissa: bigint,
  unit: number,
  { format, toInfinity }: { readonly format: Format; readonly toInfinity: boolean },
): bigint {
  const fraction = BigInt(format.fraction);
  const carried = mantissa >> fraction + 1n !== 0n;
  const [m, u] = carried ? [mantissa >> 1n, unit + 1] : [mantissa, unit];
  const infinity = (1n << BigInt(format.bits - 1)) - (1n << fraction);
  if (m >> fraction === 0n) return m;
  const field = BigInt(u + format.fraction + bias(format));
  const bits = field << fraction | m & (1n << fraction) - 1n;
  return bits < infinity ? bits : toInfinity ? infinity : infinity - 1n;
}
