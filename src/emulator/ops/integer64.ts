/**
 * Integer operations on 64 bits: the common ones on pairs of words, the rare ones on BigInt, which is slow.
 * @module
 */
import type { Pair } from "../lanes.ts";
import { highSigned, highUnsigned } from "./integer32.ts";

const below = (a: number, b: number) => a >>> 0 < b >>> 0 ? 1 : 0;

/** d = op(a, b) by words. Of products, sources are as wide as they are. */
export const PAIR64: Readonly<Record<string, Pair>> = {
  add: {
    low: (al, _ah, bl) => al + bl | 0,
    high: (al, ah, bl, bh) => ah + bh + below(al + bl, al) | 0,
  },
  sub: {
    low: (al, _ah, bl) => al - bl | 0,
    high: (al, ah, bl, bh) => ah - bh - below(al, bl) | 0,
  },
  "mul.lo": {
    low: (al, _ah, bl) => Math.imul(al, bl),
    high: (al, ah, bl, bh) => highUnsigned(al, bl) + Math.imul(al, bh) + Math.imul(ah, bl) | 0,
  },
  and: { low: (al, _ah, bl) => al & bl, high: (_al, ah, _bl, bh) => ah & bh },
  or: { low: (al, _ah, bl) => al | bl, high: (_al, ah, _bl, bh) => ah | bh },
  xor: { low: (al, _ah, bl) => al ^ bl, high: (_al, ah, _bl, bh) => ah ^ bh },
};

/** Products of 32-bit sources. */
export const WIDE32: Readonly<Record<string, Pair>> = {
  s32: { low: (al, _ah, bl) => Math.imul(al, bl), high: (al, _ah, bl) => highSigned(al, bl) },
  u32: { low: (al, _ah, bl) => Math.imul(al, bl), high: (al, _ah, bl) => highUnsigned(al, bl) },
};

/** Shifts by a count in 32 bits; counts of 64 and more move everything out. */
export const SHIFT64: Readonly<Record<string, Pair>> = {
  shl: {
    low: (al, _ah, n) => n >>> 0 > 31 ? 0 : al << n,
    high: (al, ah, n) => {
      if (n >>> 0 > 63) return 0;
      return n > 31 ? al << n - 32 : n === 0 ? ah : ah << n | al >>> 32 - n;
    },
  },
  shr: {
    low: (al, ah, n) => {
      if (n >>> 0 > 63) return 0;
      return n > 31 ? ah >>> n - 32 : n === 0 ? al : al >>> n | ah << 32 - n;
    },
    high: (_al, ah, n) => n >>> 0 > 31 ? 0 : ah >>> n,
  },
  "shr.s64": {
    low: (al, ah, n) => {
      if (n >>> 0 > 31) return ah >> Math.min((n >>> 0) - 32, 31);
      return n === 0 ? al : al >>> n | ah << 32 - n;
    },
    high: (_al, ah, n) => ah >> (n >>> 0 > 31 ? 31 : n),
  },
};

type Big = bigint;
const magnitude = (a: Big) => a < 0n ? -a : a;

/** Bits set. */
function count(a: Big): Big {
  let bits = 0n;
  for (let v = BigInt.asUintN(64, a); v !== 0n; v &= v - 1n) bits++;
  return bits;
}

/** d = op(a); `popc` and `clz` give 32 bits. Sources have the sign of their type. */
export const UNARY64: Readonly<Record<string, (a: Big) => Big>> = {
  not: (a) => ~a,
  neg: (a) => -a,
  abs: magnitude,
  popc: count,
  clz: (a) => a === 0n ? 64n : BigInt(64 - BigInt.asUintN(64, a).toString(2).length),
  brev: (a) =>
    BigInt(`0b${[...BigInt.asUintN(64, a).toString(2).padStart(64, "0")].reverse().join("")}`),
  cnot: (a) => a === 0n ? 1n : 0n,
};

/** d = op(a, b) */
export const BINARY64: Readonly<Record<string, (a: Big, b: Big) => Big>> = {
  div: (a, b) => b === 0n ? -1n : a / b,
  rem: (a, b) => b === 0n ? a : a % b,
  min: (a, b) => a < b ? a : b,
  max: (a, b) => a > b ? a : b,
  "mul.hi": (a, b) => a * b >> 64n,
};

/** d = op(a, b, c) */
export const TERNARY64: Readonly<Record<string, (a: Big, b: Big, c: Big) => Big>> = {
  "mad.hi": (a, b, c) => (a * b >> 64n) + c,
  sad: (a, b, c) => magnitude(a - b) + c,
};

/**
 * `bfe` of 64 bits.
 * @param a Source
 * @param position First bit; its low byte counts
 * @param length Bits; its low byte counts
 * @param signed Whether the field's highest bit goes on above it
 */
export function extract64(a: Big, position: number, length: number, signed: boolean): Big {
  const from = position & 0xff;
  const bits = length & 0xff;
  if (bits === 0) return 0n;
  const source = BigInt.asUintN(64, a);
  const sign = signed && (source >> BigInt(Math.min(from + bits - 1, 63)) & 1n) === 1n;
  const have = Math.max(0, Math.min(bits, 64 - from));
  const kept = BigInt.asUintN(have, source >> BigInt(from));
  return sign ? kept | (-1n << BigInt(have)) : kept;
}

/**
 * `bfi` of 64 bits: field a into b.
 * @param a Field
 * @param b What it goes into
 * @param position First bit
 * @param length Bits
 */
export function insert64(a: Big, b: Big, position: number, length: number): Big {
  const from = position & 0xff;
  const bits = Math.min(length & 0xff, 64);
  if (from > 63 || bits === 0) return b;
  const field = BigInt.asUintN(64, ((1n << BigInt(bits)) - 1n) << BigInt(from));
  return b & ~field | a << BigInt(from) & field;
}
