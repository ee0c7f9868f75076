/**
 * Loops over the lanes of an instruction. An operation is a small function of scalars; a loop applies it to 32 lanes.
 *
 * V8 inlines a function into a loop only while the loop has met no more than a few functions. One loop for all
 * operations would therefore make a call for each lane, five times as slow. {@linkcode fresh} gives each operation a copy of the loop for
 * itself, compiled again from its own text.
 * @module
 */
import type { View, Warp } from "./warp.ts";

/** Runs a decoded instruction on the lanes of `warp.mask`. */
export type Execute = (warp: Warp) => void;

/** Lanes of a view, whatever it holds. */
type Row<T> = { [lane: number]: T };

let copies = 0;

/**
 * A copy of a function for one use. The function must name nothing from outside itself.
 * @param loop The function
 */
export function fresh<F>(loop: F): F {
  // The number makes the text another: V8 would give the same code, and what it learnt, for the same text.
  return new Function(`return (${loop}); // ${copies++}`)() as F;
}

/** Makes an instruction from the rows of its destination and sources, counted in elements of their views. */
type Make<Rows extends number[]> = (...rows: Rows) => Execute;

/** Views of destination and sources. */
interface Through {
  readonly to: View;
  readonly from: View;
}

/**
 * d = op(a)
 * @param op The operation
 * @param views Of d and a
 */
export function unary<A, D>(op: (a: A) => D, views: Through): Make<[number, number]> {
  return fresh(unaryLoop)(op as (a: unknown) => unknown, views.to, views.from);
}

function unaryLoop(op: (a: unknown) => unknown, to: View, from: View): Make<[number, number]> {
  return (d, a) => (warp) => {
    const out = warp[to] as Row<unknown>;
    const x = warp[from] as Row<unknown>;
    const { mask } = warp;
    if (mask === -1) { for (let i = 0; i < 32; i++) out[d + i] = op(x[a + i]); }
    else {
      for (let i = 0; i < 32; i++) {
        if ((mask >>> i & 1) !== 0) out[d + i] = op(x[a + i]);
      }
    }
  };
}

/**
 * d = op(a, b)
 * @param op The operation
 * @param views Of d, and of a and b
 */
export function binary<A, D>(
  op: (a: A, b: A) => D,
  views: Through,
): Make<[number, number, number]> {
  return fresh(binaryLoop)(op as (a: unknown, b: unknown) => unknown, views.to, views.from);
}

function binaryLoop(
  op: (a: unknown, b: unknown) => unknown,
  to: View,
  from: View,
): Make<[number, number, number]> {
  return (d, a, b) => (warp) => {
    const out = warp[to] as Row<unknown>;
    const x = warp[from] as Row<unknown>;
    const { mask } = warp;
    if (mask === -1) { for (let i = 0; i < 32; i++) out[d + i] = op(x[a + i], x[b + i]); }
    else {
      for (let i = 0; i < 32; i++) {
        if ((mask >>> i & 1) !== 0) out[d + i] = op(x[a + i], x[b + i]);
      }
    }
  };
}

/**
 * d = op(a, b, c)
 * @param op The operation
 * @param views Of d, and of a, b and c
 */
export function ternary<A, D>(
  op: (a: A, b: A, c: A) => D,
  views: Through,
): Make<[number, number, number, number]> {
  type Op = (a: unknown, b: unknown, c: unknown) => unknown;
  return fresh(ternaryLoop)(op as Op, views.to, views.from);
}

function ternaryLoop(
  op: (a: unknown, b: unknown, c: unknown) => unknown,
  to: View,
  from: View,
): Make<[number, number, number, number]> {
  return (d, a, b, c) => (warp) => {
    const out = warp[to] as Row<unknown>;
    const x = warp[from] as Row<unknown>;
    const { mask } = warp;
    if (mask === -1) {
      for (let i = 0; i < 32; i++) out[d + i] = op(x[a + i], x[b + i], x[c + i]);
    } else {
      for (let i = 0; i < 32; i++) {
        if ((mask >>> i & 1) !== 0) out[d + i] = op(x[a + i], x[b + i], x[c + i]);
      }
    }
  };
}

/** d = op(a, b, c, d) for the few with four sources (`bfi`). @param op The operation */
export function quaternary(
  op: (a: number, b: number, c: number, e: number) => number,
): Make<[number, number, number, number, number]> {
  return (d, a, b, c, e) => ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) !== 0) i32[d + i] = op(i32[a + i], i32[b + i], i32[c + i], i32[e + i]);
    }
  };
}

/** Two halves of an operation on 64-bit integers, from the low and high words of its sources. */
export interface Pair {
  readonly low: (al: number, ah: number, bl: number, bh: number) => number;
  readonly high: (al: number, ah: number, bl: number, bh: number) => number;
}

/** Words from one lane to the next: 1 for a row of 32 bits, 2 for a row of 64, where the high word follows. */
interface Steps {
  readonly a: 1 | 2;
  readonly b: 1 | 2;
}

/**
 * d (64 bits) = op(a, b) with sources of 32 or 64 bits; of a narrow source the high word is its low word again.
 * @param op The operation
 * @param steps Widths of the sources
 */
export function wide(op: Pair, steps: Steps): Make<[number, number, number]> {
  return fresh(wideLoop)(op.low, op.high, steps.a, steps.b);
}

function wideLoop(
  low: Pair["low"],
  high: Pair["high"],
  stepA: number,
  stepB: number,
): Make<[number, number, number]> {
  return (d, a, b) => ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      const al = i32[a + i * stepA];
      const ah = i32[a + i * stepA + stepA - 1];
      const bl = i32[b + i * stepB];
      const bh = i32[b + i * stepB + stepB - 1];
      i32[d + 2 * i] = low(al, ah, bl, bh);
      i32[d + 2 * i + 1] = high(al, ah, bl, bh);
    }
  };
}

/**
 * A mask of the lanes in which op(a, b) holds, for `setp` and its like.
 * @param op The comparison
 * @param from View of a and b
 */
export function compare<A>(
  op: (a: A, b: A) => boolean,
  from: View,
): (a: number, b: number) => (warp: Warp) => number {
  return fresh(compareLoop)(op as (a: unknown, b: unknown) => boolean, from);
}

function compareLoop(
  op: (a: unknown, b: unknown) => boolean,
  from: View,
): (a: number, b: number) => (warp: Warp) => number {
  return (a, b) => (warp) => {
    const x = warp[from] as Row<unknown>;
    let mask = 0;
    for (let i = 0; i < 32; i++) if (op(x[a + i], x[b + i])) mask |= 1 << i;
    return mask;
  };
}

/**
 * As {@linkcode compare}, for integers of 64 bits: the test sees −1, 0 or 1 against 0.
 * @param test The comparison
 * @param signed Whether the high words have signs
 */
export function compareWide(
  test: (order: number, zero: number) => boolean,
  signed: boolean,
): (a: number, b: number) => (warp: Warp) => number {
  return fresh(compareWideLoop)(test, signed ? 0 : 0x8000_0000 | 0);
}

function compareWideLoop(
  test: (order: number, zero: number) => boolean,
  bias: number,
): (a: number, b: number) => (warp: Warp) => number {
  return (a, b) => ({ i32 }) => {
    let mask = 0;
    for (let i = 0; i < 64; i += 2) {
      const ah = i32[a + i + 1] ^ bias;
      const bh = i32[b + i + 1] ^ bias;
      const al = i32[a + i] >>> 0;
      const bl = i32[b + i] >>> 0;
      const order = ah === bh ? (al === bl ? 0 : al < bl ? -1 : 1) : ah < bh ? -1 : 1;
      if (test(order, 0)) mask |= 1 << (i >> 1);
    }
    return mask;
  };
}
