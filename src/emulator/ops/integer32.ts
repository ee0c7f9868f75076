/**
 * Integer operations on 32 bits as PTX states them, on signed words; 16-bit types wrap the same operations.
 *
 * Keys are `name.mode.type`, `name.type` or `name`, the last where signs make no difference.
 * @module
 */

/** Upper word of the unsigned product, by halves of 16 bits. @param a Word @param b Word */
export function highUnsigned(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + (al * bl >>> 16);
  const other = al * bh + (middle & 0xffff);
  return ah * bh + (middle - (middle & 0xffff)) / 65536 + (other - (other & 0xffff)) / 65536 | 0;
}

/** Upper word of the signed product. @param a Word @param b Word */
export function highSigned(a: number, b: number): number {
  return highUnsigned(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0) | 0;
}

/** Bits of a word turned round. */
function reverse(x: number): number {
  let v = x;
  v = (v >>> 1 & 0x5555_5555) | (v & 0x5555_5555) << 1;
  v = (v >>> 2 & 0x3333_3333) | (v & 0x3333_3333) << 2;
  v = (v >>> 4 & 0x0f0f_0f0f) | (v & 0x0f0f_0f0f) << 4;
  v = (v >>> 8 & 0x00ff_00ff) | (v & 0x00ff_00ff) << 8;
  return v >>> 16 | v << 16;
}

/** Bits set. @param x Word */
export function countBits(x: number): number {
  let v = x - (x >>> 1 & 0x5555_5555);
  v = (v & 0x3333_3333) + (v >>> 2 & 0x3333_3333);
  return Math.imul(v + (v >>> 4) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Shift counts of 32 and more move everything out, where JavaScript would wrap them. */
const shiftLeft = (a: number, n: number) => n >>> 0 > 31 ? 0 : a << n;
const shiftRight = (a: number, n: number) => n >>> 0 > 31 ? 0 : a >>> n;
const shiftSigned = (a: number, n: number) => a >> (n >>> 0 > 31 ? 31 : n);

/** Field of `length` bits from `position`; both count by their low byte. */
function extract(a: number, position: number, length: number, signed: boolean): number {
  const from = position & 0xff;
  const count = length & 0xff;
  if (count === 0) return 0;
  const top = Math.min(from + count - 1, 31);
  const sign = signed ? a >>> top & 1 : 0;
  // Bits beyond the word, and above the field, are the sign.
  const kept = from > 31 ? 0 : count >= 32 - from ? a >>> from : a >>> from & (1 << count) - 1;
  const have = from > 31 ? 0 : Math.min(count, 32 - from);
  return sign === 0 || have > 31 ? kept : kept | -1 << have;
}

/** Index of the highest bit that differs from the sign; −1 where there is none. */
function highestBit(x: number, signed: boolean): number {
  return 31 - Math.clz32(signed && x < 0 ? ~x : x);
}

/** `sign` ? -1 : 0 where the division is by 0, as the hardware gives all ones. */
const ALL_ONES = -1;

type Unary = (a: number) => number;
type Binary = (a: number, b: number) => number;
type Ternary = (a: number, b: number, c: number) => number;

/** d = op(a) */
export const UNARY32: Readonly<Record<string, Unary>> = {
  not: (a) => ~a,
  cnot: (a) => a === 0 ? 1 : 0,
  neg: (a) => -a | 0,
  abs: (a) => a < 0 ? -a | 0 : a,
  popc: countBits,
  clz: Math.clz32,
  brev: reverse,
  "bfind.u32": (a) => highestBit(a, false),
  "bfind.s32": (a) => highestBit(a, true),
  "bfind.shiftamt.u32": (a) => a === 0 ? -1 : Math.clz32(a),
  "bfind.shiftamt.s32": (a) => highestBit(a, true) < 0 ? -1 : 31 - highestBit(a, true),
};

/** d = op(a, b) */
export const BINARY32: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b | 0,
  sub: (a, b) => a - b | 0,
  "mul.lo": Math.imul,
  "mul.hi.u32": highUnsigned,
  "mul.hi.s32": highSigned,
  "mul24.lo.u32": (a, b) => Math.imul(a & 0xff_ffff, b & 0xff_ffff),
  "mul24.lo.s32": (a, b) => Math.imul(a << 8 >> 8, b << 8 >> 8),
  "div.u32": (a, b) => b === 0 ? ALL_ONES : (a >>> 0) / (b >>> 0) | 0,
  "div.s32": (a, b) => b === 0 ? ALL_ONES : a / b | 0,
  "rem.u32": (a, b) => b === 0 ? a : (a >>> 0) % (b >>> 0) | 0,
  "rem.s32": (a, b) => b === 0 ? a : a % b | 0,
  "min.u32": (a, b) => a >>> 0 < b >>> 0 ? a : b,
  "min.s32": (a, b) => a < b ? a : b,
  "max.u32": (a, b) => a >>> 0 > b >>> 0 ? a : b,
  "max.s32": (a, b) => a > b ? a : b,
  "add.sat.s32": (a, b) => Math.max(-0x8000_0000, Math.min(0x7fff_ffff, a + b)),
  "sub.sat.s32": (a, b) => Math.max(-0x8000_0000, Math.min(0x7fff_ffff, a - b)),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: shiftLeft,
  "shr.s32": shiftSigned,
  shr: shiftRight,
};

/** d = op(a, b, c) */
export const TERNARY32: Readonly<Record<string, Ternary>> = {
  "mad.lo": (a, b, c) => Math.imul(a, b) + c | 0,
  "mad.hi.u32": (a, b, c) => highUnsigned(a, b) + c | 0,
  "mad.hi.s32": (a, b, c) => highSigned(a, b) + c | 0,
  "sad.u32": (a, b, c) => (a >>> 0 < b >>> 0 ? b - a : a - b) + c | 0,
  "sad.s32": (a, b, c) => (a < b ? b - a : a - b) + c | 0,
  "bfe.u32": (a, b, c) => extract(a, b, c, false),
  "bfe.s32": (a, b, c) => extract(a, b, c, true),
  // Funnel shifts of [b:a]: the count is taken modulo 32, or 32 at most.
  "shf.l.wrap": (a, b, n) => (n & 31) === 0 ? b : b << n | a >>> (32 - (n & 31)),
  "shf.r.wrap": (a, b, n) => (n & 31) === 0 ? a : a >>> n | b << (32 - (n & 31)),
  "shf.l.clamp": (a, b, n) => n >>> 0 > 31 ? a : n === 0 ? b : b << n | a >>> (32 - n),
  "shf.r.clamp": (a, b, n) => n >>> 0 > 31 ? b : n === 0 ? a : a >>> n | b << (32 - n),
};

/** `bfi.b32`: field a into b at position c, of length e. */
export function insert(a: number, b: number, position: number, length: number): number {
  const from = position & 0xff;
  const count = Math.min(length & 0xff, 32);
  if (from > 31 || count === 0) return b;
  const field = (count === 32 ? -1 : (1 << count) - 1) << from;
  return b & ~field | a << from & field;
}

/**
 * `lop3`: any function of three bits by its table.
 * @param table Bit abc of it is the function's value
 */
export function lop3(table: number): Ternary {
  return (a, b, c) => {
    let out = 0;
    for (let row = 0; row < 8; row++) {
      if ((table >>> row & 1) === 0) continue;
      out |= ((row & 4) !== 0 ? a : ~a) & ((row & 2) !== 0 ? b : ~b) & ((row & 1) !== 0 ? c : ~c);
    }
    return out;
  };
}

/** Selectors of `prmt`'s modes from the count in c: which byte of [b:a] goes to each byte. */
const PERMUTE_MODES: Readonly<Record<string, (n: number) => readonly number[]>> = {
  f4e: (n) => [n, n + 1, n + 2, n + 3],
  b4e: (n) => [n, n - 1 & 7, n - 2 & 7, n - 3 & 7],
  rc8: (n) => [n, n, n, n],
  ecl: (n) => [0, 1, 2, 3].map((i) => Math.max(i, n)),
  ecr: (n) => [0, 1, 2, 3].map((i) => Math.min(i, n)),
  rc16: (n) => n % 2 === 0 ? [0, 1, 0, 1] : [2, 3, 2, 3],
};

/**
 * `prmt.b32`: bytes of [b:a] by selectors of 4 bits, whose highest bit asks for the byte's sign in all its bits.
 * @param mode One of the modes; none takes the selectors from c
 */
export function permute(mode: string | undefined): Ternary {
  const select = mode === undefined ? undefined : PERMUTE_MODES[mode];
  return (a, b, c) => {
    const picks = select?.(c & 3) ?? [c & 15, c >>> 4 & 15, c >>> 8 & 15, c >>> 12 & 15];
    let out = 0;
    picks.forEach((pick, i) => {
      const byte = ((pick & 4) !== 0 ? b : a) >>> 8 * (pick & 3) & 0xff;
      out |= (pick > 7 ? (byte > 127 ? 0xff : 0) : byte) << 8 * i;
    });
    return out;
  };
}
