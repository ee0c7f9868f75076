/**
 * Predicted cycles of a matrix product in tile registers (native/cpu/tile_registers.hpp), where multiplying is so fast that what is
 * around it decides: tiles that are loaded from beyond the L1 cache, sums that rest between slices, packing.
 *
 * Counted for one thread, in its processor's cycles. A step is the product of two tiles over 32 values of k, and a tile is 1 KB of either
 * operand, or of sums. What each costs was taken from loops of one kind alone on a Xeon with AMX.
 * @module
 */
import { TILE_ROWS, type Tiles } from "./gemm_tiles.ts";

/** Cycles of a product of two tiles; to load a tile from the L2 cache, and from behind it, where it is asked for ahead of its use. */
const STEP = 16, L2 = 21, BEYOND = 40;
/** To begin and to end a tile of sums: cleared and stored, or loaded and stored where they rest in between. */
const AROUND = 48;
/** To pack a tile of B. */
const PACK = 600;
/** KB of the L1 and L2 caches of processors that have tile registers, as far as they may be relied on. */
const CACHE_KB = { l1: 36, l2: 1536 } as const;
/** Values of k in a step. */
const WIDE = 32;

/** A thread's share of a product. */
export interface TilesShare {
  /** Strips of `mr` rows, and panels of columns. */
  readonly strips: number;
  readonly panels: number;
  /** Values of k. */
  readonly k: number;
}

/**
 * Cycles of a thread's share.
 * @param share Strips, panels, k
 * @param tiles Sizes; `kc` and `slice` count values of k
 */
export function cyclesInTiles({ strips, panels, k }: TilesShare, tiles: Tiles): number {
  const high = tiles.mr / TILE_ROWS, wide = tiles.nv;
  const steps = Math.ceil(k / WIDE), deep = Math.min(steps, Math.ceil(tiles.kc / WIDE));
  const slice = Math.min(deep, Math.ceil(tiles.slice / WIDE));
  const block = Math.min(strips, tiles.mc / tiles.mr);
  const slab = Math.min(panels, Math.max(1, tiles.nc / (wide * TILE_ROWS)));
  const loads = loadsOfStep({ high, wide, slice, block, slab });
  const packed = slab * wide * deep;
  const behind = packed + block * high * deep > CACHE_KB.l2 ? BEYOND : L2;
  const tile = STEP * high * wide + loads.b * behind + loads.a * L2;
  const slices = Math.ceil(deep / slice) * Math.ceil(steps / deep);
  // A comes from behind the L2 cache once for each slab of columns.
  const first = Math.ceil(panels / slab) * strips * high * steps * (BEYOND - L2);
  return strips * panels * (steps * tile + slices * AROUND * high * wide) +
    panels * wide * steps * PACK + first;
}

/**
 * Tiles of either operand that come from beyond the L1 cache in a step. With one strip a block, a slice of it may stay while panels go by;
 * with several, a slice of a panel while strips do.
 */
function loadsOfStep(
  { high, wide, slice, block, slab }: Readonly<
    Record<"high" | "wide" | "slice" | "block" | "slab", number>
  >,
): { a: number; b: number } {
  const rows = high * slice, columns = wide * slice;
  // What stays, and a few tiles of what goes by.
  const fits = (kb: number) => kb <= CACHE_KB.l1;
  if (block === 1) return { a: fits(rows + 2 * wide) ? high / slab : high, b: wide };
  return {
    a: fits(block * rows + columns) ? high / slab : high,
    b: fits(columns + 2 * high) ? wide / block : wide,
  };
}
