/**
 * How matrix products are cut on a GPU (native/cuda/gemm.cuh): tunable sizes, what fits a block, and the launch they need.
 * @module
 */
import { roundUp } from "../calls.ts";
import type { Tunables } from "../target.ts";

/** Sizes with their values; see Tiling in native/cuda/gemm.cuh. Warps: how many lie along M and along N. */
export const TILE_TUNABLES = {
  bm: [32, 64, 128, 256],
  bn: [32, 64, 128, 256],
  bk: [32, 64],
  stages: [2, 3, 4],
  warpsM: [1, 2, 4],
  warpsN: [1, 2, 4],
} as const;

/** Template arguments of `Tiling`. */
export interface Tiles {
  readonly bm: number;
  readonly bn: number;
  readonly bk: number;
  readonly stages: number;
  readonly warpsM: number;
  readonly warpsN: number;
}

/** Shared memory that a block may have on every part from sm_80 on: sm_86 and sm_89 have the least, 99 KiB. */
export const SHARED_LIMIT = 99 * 1024;
/** Of the 255 registers of a thread, those that sums may take. */
const SUM_REGISTERS = 128;

/**
 * Sizes as the template takes them.
 * @param values Chosen values
 */
export function tilesOf(values: Tunables): Tiles {
  const number = (name: keyof Tiles) => Number(values[name]);
  return {
    bm: number("bm"),
    bn: number("bn"),
    bk: number("bk"),
    stages: number("stages"),
    warpsM: number("warpsM"),
    warpsN: number("warpsN"),
  };
}

/** Sizes in the place of those that do not fit, the largest first: PaCA's columns take shared memory, rotated heads whole tiles. */
const OTHERS: readonly Tunables[] = [
  { bm: 128, bn: 64, bk: 32, stages: 3, warpsM: 4, warpsN: 2 },
  { bm: 64, bn: 128, bk: 32, stages: 3, warpsM: 2, warpsN: 4 },
  { bm: 64, bn: 64, bk: 32, stages: 2, warpsM: 2, warpsN: 2 },
  { bm: 32, bn: 64, bk: 32, stages: 2, warpsM: 1, warpsN: 4 },
  { bm: 32, bn: 32, bk: 32, stages: 2, warpsM: 1, warpsN: 2 },
];

/**
 * Default sizes: 128 x 128 where that gives a hundred blocks or more, smaller tiles where it does not.
 * @param extents Rows and columns of the result
 * @param fits Whether a kernel takes such sizes
 */
export function defaultTiles(
  { m, n }: { readonly m: number; readonly n: number },
  fits: (values: Tunables) => boolean = () => true,
): Tunables {
  const wanted = wantedTiles(m, n);
  return [wanted, ...OTHERS].find(fits) ?? wanted;
}

function wantedTiles(m: number, n: number): Tunables {
  const blocks = (bm: number, bn: number) => Math.ceil(m / bm) * Math.ceil(n / bn);
  if (blocks(128, 128) >= 100) return { bm: 128, bn: 128, bk: 32, stages: 3, warpsM: 2, warpsN: 4 };
  if (blocks(64, 64) >= 100) return { bm: 64, bn: 64, bk: 64, stages: 3, warpsM: 2, warpsN: 2 };
  return { bm: 32, bn: 64, bk: 64, stages: 3, warpsM: 1, warpsN: 4 };
}

/**
 * Whether a block's sums fit its registers and its stages its shared memory.
 * @param values Chosen values
 * @param extra Bytes of shared memory beside the stages
 */
export function tilesFit(values: Tunables, extra: number): boolean {
  const tiles = tilesOf(values);
  const { bm, bn, warpsM, warpsN } = tiles;
  const whole = bm % (16 * warpsM) === 0 && bn % (16 * warpsN) === 0;
  const sums = bm * bn / (32 * warpsM * warpsN);
  return whole && sums <= SUM_REGISTERS && sums >= 8 && sharedBytes(tiles) + extra <= SHARED_LIMIT;
}

/**
 * Bytes of the stages, or of the result's tile where that is more.
 * @param tiles Sizes
 */
export function sharedBytes({ bm, bn, bk, stages }: Tiles): number {
  return Math.max(stages * (bm + bn) * bk * 2, bm * bn * 2);
}

/** What ptxas takes for a product with few sums: it has no reason to be sparing then. */
const LEAST_REGISTERS = 112;

/**
 * Registers of a thread at most: its sums, and what a product needs beside them.
 * @param tiles Sizes
 */
export function registersOf(tiles: Tiles): number {
  const needed = roundUp(tiles.bm * tiles.bn / threadsOf(tiles) + 64, 8);
  return Math.max(LEAST_REGISTERS, needed);
}

/**
 * The same for attention, whose warps hold 16 rows: four bytes of each of 32 lanes are two columns of them.
 * @param sums Columns that are summed up
 * @param scores Columns of scores
 */
export function attentionRegisters(sums: number, scores: number): number {
  return Math.min(255, roundUp((sums + scores) / 2 + 72, 8));
}

/**
 * Threads of a block.
 * @param tiles Sizes
 */
export function threadsOf({ warpsM, warpsN }: Tiles): number {
  return 32 * warpsM * warpsN;
}

/**
 * Columns of a tile that holds PaCA's columns (kExtended of native/cuda/paca.cuh).
 * @param rank How many there are
 */
export function extendedWidth(rank: number): number {
  return rank <= 32 ? 32 : 64 * Math.ceil(rank / 64);
}

/**
 * Columns of a tile that holds rows of a head (kPadded of native/cuda/attention.cuh).
 * @param headDim Elements of a head
 */
export function headWidth(headDim: number): number {
  return headDim <= 32 ? 32 : 64 * Math.ceil(headDim / 64);
}
