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
import type { Family } from "./decoder.ts";
import { approach } from "./memory.ts";
import { ADDRESSES, addressOf } from "./space.ts";

const ROWS = 16;
const COLUMNS = 8;
/** Depth of the longest product: elements from one row of A, or column of B, to the next. */
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
const HALVES_A = places(
  4,
  (lane, r) => ((lane >> 2) + 8 * (r & 1)) * DEPTH + 2 * (lane & 3) + 8 * (r >> 1),
);
const HALVES_B = places(2, (lane, r) => (lane >> 2) * DEPTH + 2 * (lane & 3) + 8 * r);
const WORDS_A = places(
  4,
  (lane, r) => ((lane >> 2) + 8 * (r & 1)) * DEPTH + (lane & 3) + 4 * (r >> 1),
);
const WORDS_B = places(2, (lane, r) => (lane >> 2) * DEPTH + (lane & 3) + 4 * r);

/** Puts a register's elements into A or B. */
type Unpack = (
  words: Int32Array,
  row: number,
  to: Float64Array,
  place: Int32Array,
  at: number,
) => void;

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

/** Registers of A and B, and the depth, by shape and type. */
const SHAPES: Readonly<Record<string, { readonly a: number; readonly b: number; depth: number }>> =
  {
    "m16n8k16 bf16": { a: 4, b: 2, depth: 16 },
    "m16n8k16 f16": { a: 4, b: 2, depth: 16 },
    "m16n8k8 bf16": { a: 2, b: 1, depth: 8 },
    "m16n8k8 f16": { a: 2, b: 1, depth: 8 },
    "m16n8k8 tf32": { a: 4, b: 2, depth: 8 },
    "m16n8k4 tf32": { a: 2, b: 1, depth: 4 },
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
  const from = Int32Array.from(rows(3, 4));
  const to = Int32Array.from(site.items(0), (item) => site.targetOf(item, 32));
  if (to.length !== 4) return site.fail("the destination must have 4 registers");
  const unpack = UNPACK[type];
  const [placeA, placeB] = type === "tf32" ? [WORDS_A, WORDS_B] : [HALVES_A, HALVES_B];
  const product = { to, from, depth: registers.depth };
  return (warp) => {
    for (let r = 0; r < rowsA.length; r++) unpack(warp.i32, rowsA[r], A, placeA, 32 * r);
    for (let r = 0; r < rowsB.length; r++) unpack(warp.i32, rowsB[r], B, placeB, 32 * r);
    multiply(warp.f32, product);
  };
}

/** Registers of the product that runs, and its depth. */
interface Product {
  readonly to: Int32Array;
  readonly from: Int32Array;
  readonly depth: number;
}

/**
 * D = A B + C. Each lane's four elements are two rows by two columns: four products for four loads.
 * @param f32 Registers
 * @param product Rows of D and C
 */
function multiply(f32: Float32Array, { to, from, depth }: Product): void {
  for (let lane = 0; lane < 32; lane++) {
    const a = (lane >> 2) * DEPTH;
    const b = (lane & 3) * 2 * DEPTH;
    let c0 = 0;
    let c1 = 0;
    let c2 = 0;
    let c3 = 0;
    for (let k = 0; k < depth; k++) {
      const upper = A[a + k];
      const lower = A[a + 8 * DEPTH + k];
      const left = B[b + k];
      const right = B[b + DEPTH + k];
      c0 += upper * left;
      c1 += upper * right;
      c2 += lower * left;
      c3 += lower * right;
    }
    f32[to[0] + lane] = f32[from[0] + lane] + c0;
    f32[to[1] + lane] = f32[from[1] + lane] + c1;
    f32[to[2] + lane] = f32[from[2] + lane] + c2;
    f32[to[3] + lane] = f32[from[3] + lane] + c3;
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
  const count =
    { x1: 1, x2: 2, x4: 4 }[site.instruction.parts.find((p) => /^x[124]$/.test(p)) ?? ""];
  if (count === undefined || !site.has("m8n8") || site.type !== "b16") {
    return site.fail("this shape is not known");
  }
  return { count, trans: site.has("trans") };
}

/** Which row of a matrix an element of a lane is in, and where in the row, in bytes. */
interface Elements {
  readonly row: Int32Array;
  readonly at: Int32Array;
}

/** Elements of the lower (k = 0) or upper half of each lane's register. */
function elements(k: number, trans: boolean): Elements {
  const group = Int32Array.from({ length: 32 }, (_, lane) => lane >> 2);
  const two = Int32Array.from({ length: 32 }, (_, lane) => 2 * (lane & 3) + k);
  const [row, column] = trans ? [two, group] : [group, two];
  return { row, at: column.map((c) => 2 * c) };
}

function ldmatrix(site: Site): Execute {
  const { count, trans } = shapeOf(site);
  const to = site.items(0).map((item) => site.targetOf(item, 32));
  if (to.length !== count) return site.fail(`the destination must have ${count} registers`);
  const address = addressOf(site, site.operand(1));
  const row = { site: site.pc, bytes: 16, align: 16, wholeWarp: true };
  const access = { ...row, space: "shared", kind: "read" } as const;
  const lanes = addressLanes(count);
  const low = elements(0, trans);
  const high = elements(1, trans);
  return (warp) => {
    const whole = warp.mask;
    warp.mask = lanes;
    const { memory } = approach(warp, address, access);
    warp.mask = whole;
    for (let m = 0; m < count; m++) gather(warp.i32, to[m], memory.u16, { m, low, high });
  };
}

/** The register of each lane from matrix m. */
function gather(
  i32: Int32Array,
  d: number,
  u16: Uint16Array,
  { m, low, high }: { readonly m: number; readonly low: Elements; readonly high: Elements },
): void {
  for (let i = 0; i < 32; i++) {
    const first = u16[ADDRESSES[8 * m + low.row[i]] + low.at[i] >>> 1];
    const second = u16[ADDRESSES[8 * m + high.row[i]] + high.at[i] >>> 1];
    i32[d + i] = first | second << 16;
  }
}

function stmatrix(site: Site): Execute {
  const { count, trans } = shapeOf(site);
  const from = site.items(1).map((item) => site.sourceOf(item, 32));
  if (from.length !== count) return site.fail(`the source must have ${count} registers`);
  const address = addressOf(site, site.operand(0));
  const row = { site: site.pc, bytes: 16, align: 16 };
  const access = { ...row, space: "shared", kind: "write" } as const;
  const lanes = addressLanes(count);
  const halves = [elements(0, trans), elements(1, trans)];
  return (warp) => {
    const whole = warp.mask;
    warp.mask = lanes;
    const { memory } = approach(warp, address, access);
    warp.mask = whole;
    for (let m = 0; m < count; m++) {
      halves.forEach(({ row, at }, k) => {
        for (let i = 0; i < 32; i++) {
          memory.u16[ADDRESSES[8 * m + row[i]] + at[i] >>> 1] = warp.i32[from[m] + i] >>> 16 * k;
        }
      });
    }
  };
}

/** Matrices. */
export const MATRIX: Family = { mma, ldmatrix, stmatrix };
