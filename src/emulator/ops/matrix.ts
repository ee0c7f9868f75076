/**
 * Matrices across a warp: `ldmatrix`, `stmatrix`, `mma.sync`.
 *
 * Lane layouts, with g = lane >> 2 (the group) and t = lane & 3 (the place in it):
 *
 *     8x8 of 16 bits (ldmatrix)      D, C of mma [16, 8], float32      A [16, 16] of 16 bits (row)
 *     lane g·4+t: row g,             c0 c1: row g,     columns 2t 2t+1 a0: row g,   columns 2t 2t+1
 *     columns 2t, 2t+1               c2 c3: row g + 8, the same        a1: row g+8, the same
 *     trans: rows 2t, 2t+1                                             a2, a3: as a0, a1, columns + 8
 *     of column g                    B [16, 8] of 16 bits (col)
 *                                    b0: rows 2t 2t+1 of column g      tf32, A [16, 8]: a0 (g, t), a1 (g+8, t),
 *                                    b1: rows 2t+8 2t+9 of column g    a2 (g, t+4), a3 (g+8, t+4)
 *                                                                      B [8, 8]: b0 (t, g), b1 (t+4, g)
 *
 * Products are summed in double and rounded to float32 once: hardware rounds in an order of its own, so results are
 * compared with a tolerance.
 * @module
 */
import type { Execute } from "../lanes.ts";
import type { Site } from "../operands.ts";
import { NARROW } from "../rounding.ts";
import type { Warp } from "../warp.ts";
import type { Family } from "./decoder.ts";
import { approach } from "./memory.ts";
import { ADDRESSES, addressOf } from "./space.ts";

const ROWS = 16;
const COLUMNS = 8;
/** Depth of the longest product; shorter ones are filled up with zeros. */
const DEPTH = 16;

/** Operands of the product that runs, A row by row and B column by column. */
const A = new Float64Array(ROWS * DEPTH);
const B = new Float64Array(COLUMNS * DEPTH);
const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

/** Where in A or B the elements of a register go, by lane. */
function places(rows: number, of: (lane: number, index: number) => number): Int32Array {
  return Int32Array.from({ length: 32 * rows }, (_, i) => of(i % 32, Math.floor(i / 32)));
}

/** First of two neighbours: register r of A is row g (+8 for odd r), columns 2t (+8 from r = 2). */
const HALVES_A = places(4, (lane, r) => ((lane >> 2) + 8 * (r & 1)) * DEPTH + 2 * (lane & 3) + 8 * (r >> 1));
const HALVES_B = places(2, (lane, r) => (lane >> 2) * DEPTH + 2 * (lane & 3) + 8 * r);
const WORDS_A = places(4, (lane, r) => ((lane >> 2) + 8 * (r & 1)) * DEPTH + (lane & 3) + 4 * (r >> 1));
const WORDS_B = places(2, (lane, r) => (lane >> 2) * DEPTH + (lane & 3) + 4 * r);

/** Puts a register's elements into A or B. */
type Unpack = (words: Int32Array, row: number, to: Float64Array, place: Int32Array, at: number) => void;

const halvesBf16: Unpack = (words, row, to, place, at) => {
  for (let i = 0; i < 32; i++) {
    const pair = words[row + i];
    const first = place[at + i];
    bits[0] = pair << 16;
    to[first] = float[0];
    bits[0] = pair & 0xffff_0000;
    to[first + 1] = float[0];
  }
};

const halvesF16: Unpack = (words, row, to, place, at) => {
  const { values } = NARROW.f16;
  for (let i = 0; i < 32; i++) {
    const pair = words[row + i];
    const first = place[at + i];
    to[first] = values[pair & 0xffff];
    to[first + 1] = values[pair >>> 16];
  }
};

/** tf32 keeps 10 bits of fraction; hardware ignores the others. */
const wordsTf32: Unpack = (words, row, to, place, at) => {
  for (let i = 0; i < 32; i++) {
    bits[0] = words[row + i] & ~0x1fff;
    to[place[at + i]] = float[0];
  }
};

const UNPACK: Readonly<Record<string, Unpack>> = {
  bf16: halvesBf16,
  f16: halvesF16,
  tf32: wordsTf32,
};

/** Registers of A and B by shape and type. */
const SHAPES: Readonly<Record<string, { readonly a: number; readonly b: number }>> = {
  "m16n8k16 bf16": { a: 4, b: 2 },
  "m16n8k16 f16": { a: 4, b: 2 },
  "m16n8k8 bf16": { a: 2, b: 1 },
  "m16n8k8 f16": { a: 2, b: 1 },
  "m16n8k8 tf32": { a: 4, b: 2 },
  "m16n8k4 tf32": { a: 2, b: 1 },
};

/** `mma.sync.aligned.SHAPE.row.col.f32.TYPE.TYPE.f32 d, a, b, c` */
function mma(site: Site): Execute {
  const [d, type, typeB, c] = site.types;
  const shape = site.instruction.parts.find((part) => /^m\d/.test(part)) ?? "";
  const registers = SHAPES[`${shape} ${type}`];
  const known = d === "f32" && c === "f32" && type === typeB && site.has("row") && site.has("col");
  if (registers === undefined || !known) return site.fail("this product is not known");
  const rows = (index: number, count: number) => {
    const items = site.items(index);
    if (items.length !== count) return site.fail(`operand ${index} must have ${count} registers`);
    return items.map((item) => site.sourceOf(item, 32));
  };
  const rowsA = rows(1, registers.a);
  const rowsB = rows(2, registers.b);
  const from = rows(3, 4);
  const to = site.items(0).map((item) => site.targetOf(item, 32));
  if (to.length !== 4) return site.fail("the destination must have 4 registers");
  const unpack = UNPACK[type];
  const [placeA, placeB] = type === "tf32" ? [WORDS_A, WORDS_B] : [HALVES_A, HALVES_B];
  const isShort = registers.a * registers.b < 8 || type === "tf32";
  return (warp) => {
    if (isShort) {
      A.fill(0);
      B.fill(0);
    }
    for (let r = 0; r < rowsA.length; r++) unpack(warp.i32, rowsA[r], A, placeA, 32 * r);
    for (let r = 0; r < rowsB.length; r++) unpack(warp.i32, rowsB[r], B, placeB, 32 * r);
    multiply(warp.f32, to, from);
  };
}

/**
 * D = A B + C, a row of A at a time held in variables: one load for each product.
 * @param f32 Registers
 * @param to Rows of D
 * @param from Rows of C
 */
function multiply(f32: Float32Array, to: readonly number[], from: readonly number[]): void {
  for (let row = 0; row < ROWS; row++) {
    const a = row * DEPTH;
    const [a0, a1, a2, a3] = [A[a], A[a + 1], A[a + 2], A[a + 3]];
    const [a4, a5, a6, a7] = [A[a + 4], A[a + 5], A[a + 6], A[a + 7]];
    const [a8, a9, a10, a11] = [A[a + 8], A[a + 9], A[a + 10], A[a + 11]];
    const [a12, a13, a14, a15] = [A[a + 12], A[a + 13], A[a + 14], A[a + 15]];
    const lane = (row & 7) * 4;
    const half = row >> 3 << 1;
    for (let column = 0; column < COLUMNS; column++) {
      const b = column * DEPTH;
      const low = a0 * B[b] + a1 * B[b + 1] + (a2 * B[b + 2] + a3 * B[b + 3]) +
        (a4 * B[b + 4] + a5 * B[b + 5] + (a6 * B[b + 6] + a7 * B[b + 7]));
      const high = a8 * B[b + 8] + a9 * B[b + 9] + (a10 * B[b + 10] + a11 * B[b + 11]) +
        (a12 * B[b + 12] + a13 * B[b + 13] + (a14 * B[b + 14] + a15 * B[b + 15]));
      const register = half + (column & 1);
      const at = lane + (column >> 1);
      f32[to[register] + at] = f32[from[register] + at] + (low + high);
    }
  }
}

/** Lanes whose addresses count: 8 for each matrix. */
function addressLanes(count: number): number {
  return count === 4 ? -1 : (1 << 8 * count) - 1;
}

interface Moved {
  readonly count: number;
  readonly trans: boolean;
}

function shapeOf(site: Site): Moved {
  const count = { x1: 1, x2: 2, x4: 4 }[site.instruction.parts.find((p) => /^x[124]$/.test(p)) ?? ""];
  if (count === undefined || !site.has("m8n8") || site.type !== "b16") {
    return site.fail("this shape is not known");
  }
  return { count, trans: site.has("trans") };
}

/** Byte offset of an element from the start of the row that a lane of matrix m gave. */
function element(lane: number, k: number, trans: boolean): { readonly row: number; readonly at: number } {
  const [g, two] = [lane >> 2, 2 * (lane & 3) + k];
  return trans ? { row: two, at: 2 * g } : { row: g, at: 2 * two };
}

/** Runs with other lanes than the instruction's own. */
function among<T>(warp: Warp, lanes: number, run: () => T): T {
  const { mask } = warp;
  warp.mask = lanes;
  const result = run();
  warp.mask = mask;
  return result;
}

function ldmatrix(site: Site): Execute {
  const { count, trans } = shapeOf(site);
  const to = site.items(0).map((item) => site.targetOf(item, 32));
  if (to.length !== count) return site.fail(`the destination must have ${count} registers`);
  const address = addressOf(site, site.operand(1));
  const row = { site: site.pc, bytes: 16, align: 16, wholeWarp: true };
  const access = { ...row, space: "shared", kind: "read" } as const;
  const lanes = addressLanes(count);
  const [first, second] = [0, 1].map((k) =>
    Array.from({ length: 32 }, (_, lane) => element(lane, k, trans))
  );
  return (warp) => {
    const { memory } = among(warp, lanes, () => approach(warp, address, access));
    const { u16 } = memory;
    for (let m = 0; m < count; m++) {
      const d = to[m];
      for (let i = 0; i < 32; i++) {
        const [one, two] = [first[i], second[i]];
        const low = u16[ADDRESSES[8 * m + one.row] + one.at >>> 1];
        const high = u16[ADDRESSES[8 * m + two.row] + two.at >>> 1];
        warp.i32[d + i] = low | high << 16;
      }
    }
  };
}

function stmatrix(site: Site): Execute {
  const { count, trans } = shapeOf(site);
  const from = site.items(1).map((item) => site.sourceOf(item, 32));
  if (from.length !== count) return site.fail(`the source must have ${count} registers`);
  const address = addressOf(site, site.operand(0));
  const row = { site: site.pc, bytes: 16, align: 16 };
  const access = { ...row, space: "shared", kind: "write" } as const;
  const lanes = addressLanes(count);
  return (warp) => {
    const { memory } = among(warp, lanes, () => approach(warp, address, access));
    for (let m = 0; m < count; m++) {
      for (let i = 0; i < 32; i++) {
        for (let k = 0; k < 2; k++) {
          const { row, at } = element(i, k, trans);
          memory.u16[ADDRESSES[8 * m + row] + at >>> 1] = warp.i32[from[m] + i] >>> 16 * k;
        }
      }
    }
  };
}

/** Matrices. */
export const MATRIX: Family = { mma, ldmatrix, stmatrix };
