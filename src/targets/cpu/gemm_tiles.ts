/**
 * How the matrix products of native/cpu/gemm.hpp are cut: tunable sizes, what fits, and the scratch they need.
 * All kernels built on that header share it.
 * @module
 */
import { DTYPE_BYTES, elements } from "../../graph/graph.ts";
import { must } from "../../errors.ts";
import { roundUp } from "../calls.ts";
import type { Isa, KernelCall, Tunables } from "../target.ts";

/**
 * Sizes of tiles with their values: see the head of native/cpu/gemm.hpp. `nv` counts vectors; `unroll` steps of k. `fetch`
 * adds up what is asked for ahead of its use: 1 the rows of the next panel of B, 2 the tile of C, 4 the next block of A. `slice`: values
 * of k that tile registers take at a time, 0: all of `kc`.
 */
export const TILE_TUNABLES = {
  mr: [4, 6, 8, 9, 12, 14, 16, 32, 48],
  nv: [1, 2, 3, 4],
  kc: [32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536],
  mc: [12, 24, 48, 72, 96, 144, 192, 288],
  nc: [64, 96, 192, 288, 384, 576, 768],
  unroll: [1, 2, 4, 8],
  fetch: [0, 1, 3, 5, 7],
  slice: [0, 160, 224, 320, 384, 512],
} as const;

/** A product C[m,n] over k. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** k must not be cut, since C cannot hold float32 sums in between. */
  readonly whole?: boolean;
  /** Operands are packed as pairs of bf16 (native/cpu/gemm_pairs.hpp). */
  readonly pairs?: boolean;
  /** Columns of another product with the same A that are taken beside it. */
  readonly beside?: number;
}

/** Template arguments of `Tiles` and what follows from them. */
export interface Tiles {
  readonly mr: number;
  readonly nv: number;
  readonly kc: number;
  readonly mc: number;
  readonly nc: number;
  readonly unroll: number;
  readonly fetch: number;
  /** Values of k that go through all panels before the next; `kc` where it is not cut further. */
  readonly slice: number;
  /** Columns whose sums are stored together. */
  readonly together: number;
  /** Floats that `kc` values of k are packed into: half as many where operands are pairs, in whole steps of the micro-kernel. */
  readonly steps: number;
  /** The C++ type. */
  readonly type: string;
  /** Bytes of scratch of one thread (Tiles::kScratch). */
  readonly scratch: number;
}

/**
 * Default tile sizes: a register tile that fills the registers, as near to a square as it gets, since each value loaded is then used
 * the most (AVX-512: 9x48 was 7 % faster than 12x32 where another program ran on the cores' second threads); slices of k long enough
 * that the cost of a tile's start and end and of visiting C again is small; a block of A of about 72 KB, so that it, the next one on its
 * way, a panel of B and C's tiles share an L2 cache of 512 KB. Pairs of bf16 take half the bytes, so twice as long slices.
 * In tile registers: few of them, which costs little alone and helps much on a core that is shared (see multiply_tiles); so much of B
 * that it stays in an L2 cache of 2 MB while A goes by. 32 rows of A stay in the L1 cache, a slice of k at a time, while B streams by in
 * the order of its addresses: 1.05 to 1.2 times as fast as 16x48 over all of k, for which neither operand fits that cache, on a core of
 * one's own and on a shared one (Xeon with AMX, eight shapes of SmolLM2; 48 rows are too many where the cache is shared). Sums that
 * rest in C come by with each slice, so C is asked for then alone.
 * @param product The product; few columns take one vector and more rows
 * @param isa The instruction set
 */
export function defaultTiles(product: Product, isa: Isa): Tunables {
  const narrow = product.n <= isa.lanes;
  if (inTiles(product, isa)) {
    const kc = 1536;
    const most = MOST_PACKED / (2 * Math.min(product.k, kc));
    const nc = TILE_TUNABLES.nc.findLast((columns) => columns <= most) ?? TILE_TUNABLES.nc[0];
    const fetch = product.whole === true ? 5 : 7;
    return { mr: 2 * TILE_ROWS, nv: 1, kc, mc: 2 * TILE_ROWS, nc, unroll: 1, fetch, slice: 384 };
  }
  const registerTile = isa.registers < 32
    ? (isa.lanes < 8
      ? { mr: narrow ? 8 : 4, nv: narrow ? 1 : 2 }
      : { mr: narrow ? 12 : 6, nv: narrow ? 1 : 2 })
    : (isa.lanes < 8
      ? { mr: 8, nv: narrow ? 1 : 3 }
      : (narrow ? { mr: 12, nv: 1 } : { mr: 9, nv: 3 }));
  const kc = product.pairs === true ? 1536 : 768;
  return { ...registerTile, kc, mc: 24, nc: 384, unroll: 4, fetch: 7, slice: 0 };
}

/**
 * Whether a product's micro-kernel works in tile registers (native/cpu/tile_registers.hpp).
 * @param product The product
 * @param isa The instruction set
 */
export function inTiles(product: Product, isa: Isa): boolean {
  return product.pairs === true && isa.pairs > 1;
}

/**
 * Whether the sums, a row of B and one value of A fit the registers; of tiles, the sums, their rows of A and one of B.
 * @param product The product
 * @param values Chosen sizes
 * @param isa The instruction set
 */
export function tilesFit(product: Product, values: Tunables, isa: Isa): boolean {
  const mr = Number(values.mr);
  const nv = Number(values.nv);
  if (inTiles(product, isa)) {
    // One of B's tiles follows another in one register, and so do A's where the sums are one tile wide (multiply_tiles). The loop is not unrolled.
    const high = mr / TILE_ROWS, rows = nv > 1 ? high : 1;
    return Number.isInteger(high) && high * nv + rows + 1 <= TILE_REGISTERS &&
      Number(values.unroll) === 1;
  }
  return mr * nv + nv + 1 <= isa.registers && Number(values.slice) === 0;
}

/** Values of bf16 in a cache line. */
const LINE = 32;

/** Bytes of B that are packed at a time for tile registers: 0.9 MB were 8 to 13 % faster than 1.8. */
const MOST_PACKED = 900 << 10;

/** Rows of a tile register, and how many there are. */
export const TILE_ROWS = 16;
const TILE_REGISTERS = 8;

/**
 * Sizes as the template takes them: cut to the product, k in equal slices.
 * @param product The product
 * @param values Chosen sizes
 * @param isa The instruction set
 */
export function tilesOf(product: Product, values: Tunables, isa: Isa): Tiles {
  const mr = Number(values.mr);
  const nv = Number(values.nv);
  const nr = nv * isa.lanes;
  const slices = product.whole === true ? 1 : Math.ceil(product.k / Number(values.kc));
  const kc = slices <= 1
    ? product.k
    : roundUp(Math.ceil(product.k / slices), Math.max(16, 2 * isa.pairs));
  const mc = Math.min(roundUp(product.m, mr), Math.max(mr, roundDown(Number(values.mc), mr)));
  const nc = Math.min(roundUp(product.n, nr), Math.max(nr, roundDown(Number(values.nc), nr)));
  const pairs = product.pairs === true;
  const steps = pairs ? roundUp(Math.ceil(kc / 2), isa.pairs) : kc;
  const slice = sliceOf(kc, Number(values.slice), isa);
  const tiles = inTiles(product, isa);
  const together = tiles ? Math.max(nr, LINE) : nr;
  const sums = tiles ? 4 * mc * (slice < kc ? roundUp(nc, together) : 2 * together) : 0;
  const beside = 4 * steps * roundUp(product.beside ?? 0, isa.lanes);
  const scratch = roundUp(4 * steps * nc, 64) + 4 * mc * (steps + ROW_PADDING) + 64 + sums + beside;
  const unroll = Number(values.unroll);
  const fetch = Number(values.fetch);
  const type = `Tiles</*MR*/ ${mr}, /*NV*/ ${nv}, /*KC*/ ${kc}, /*MC*/ ${mc}, /*NC*/ ${nc}, ` +
    `/*unroll*/ ${unroll}, /*fetch*/ ${fetch}${pairs ? ", /*pairs*/ true" : ""}${
      slice < kc ? `, /*slice*/ ${slice}` : ""
    }>`;
  return {
    mr,
    nv,
    kc,
    mc,
    nc,
    unroll,
    fetch,
    slice,
    together,
    steps,
    type,
    scratch: roundUp(scratch, 64),
  };
}

/** About equal slices of `kc`, of whole tiles. */
function sliceOf(kc: number, most: number, isa: Isa): number {
  if (most === 0 || most >= kc) return kc;
  const slice = roundUp(Math.ceil(kc / Math.ceil(kc / most)), 2 * isa.pairs);
  return Math.min(slice, kc);
}

/**
 * Floats of rows of A that are packed for a product whose k is not cut, in whole strips.
 * @param rows How many
 * @param tiles The product's tiles
 */
export function packedRows(rows: number, { mr, steps }: Tiles): number {
  return roundUp(roundUp(rows, mr) * (steps + ROW_PADDING) + 16, 16);
}

/** kRowPadding of native/cpu/gemm_pack.hpp. */
const ROW_PADDING = 16;

/**
 * A dimension of the call's op.
 * @param call The call
 * @param name The dimension's name in the op's signature
 */
export function dimOf(call: KernelCall, name: string): number {
  return must(call.dims[name], `dimension ${name} of ${call.node.op}`);
}

/**
 * Whether a product of activations with a weight multiplies pairs of bf16: the processor can, and the weight is stored so. The
 * activations are rounded while they are packed.
 * @param call The call; of a group, all weights have one type
 * @param isa The instruction set
 */
export function takesPairs(call: KernelCall, isa: Isa): boolean {
  const weights = call.operands.filter(({ name }) => /^weight(\.\d+)?$/.test(name));
  return isa.pairs > 0 && weights.length > 0 &&
    weights.every(({ tensor }) => tensor.dtype === "bf16");
}

/**
 * Bytes of all operands, each touched once; what is added to is read and written.
 * @param call The call
 */
export function operandBytes(call: KernelCall): number {
  return call.operands.reduce((total, { tensor }) => {
    const bytes = elements(tensor.shape) * DTYPE_BYTES[tensor.dtype];
    return total + bytes * (tensor.role === "gradient" ? 2 : 1);
  }, 0);
}

function roundDown(value: number, step: number): number {
  return Math.floor(value / step) * step;
}
