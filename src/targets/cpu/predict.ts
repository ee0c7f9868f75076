/**
 * Predicted time of a matrix product from the sizes of its tiles: what ranks candidates before any is compiled.
 *
 * Counted for the busiest thread, in cycles of two fused multiply-adds each: register tiles with their waste at the edges, panels
 * of B that miss the L1 cache, blocks of A that miss the L2 cache, packing, and the passes over C where k is cut.
 * @module
 */
import type { Isa, Machine } from "../target.ts";
import { inTiles, type Product, type Tiles } from "./gemm_tiles.ts";
import { cyclesInTiles } from "./predict_tiles.ts";

/** Bytes of the caches of a core of these years; the machine's own are not known. */
export const CACHE = { l1: 32 << 10, l2: 512 << 10 } as const;

/** Fused multiply-adds that a core starts in a cycle. */
export const PIPES = 2;
/** How many of them must be under way to start as many. */
const IN_FLIGHT = 8;

/** Cycles to load a vector from the L2 cache, and from what lies behind it; to pack one of B and one of A. */
export const CYCLES = { l2: 1, beyond: 3, packB: 2, packA: 1.5 } as const;

/** What a prediction is made for. */
export interface PredictOptions {
  readonly isa: Isa;
  readonly machine: Machine;
  /** Bytes of all operands, each touched once. */
  readonly bytes: number;
}

/**
 * Seconds of one product with all threads of the machine.
 * @param product Its extents
 * @param tiles Its sizes
 * @param options Instruction set, machine, bytes
 */
export function predictProduct(product: Product, tiles: Tiles, options: PredictOptions): number {
  const { isa, machine, bytes } = options;
  const tiled = inTiles(product, isa);
  const cyclesPerSecond = machine.flopsPerSecond / machine.threads / (2 * PIPES * isa.lanes);
  const cycles = cyclesOf(product, {
    tiles,
    lanes: isa.lanes,
    threads: machine.threads,
    inTiles: tiled,
  });
  const slices = Math.ceil(product.k / tiles.kc);
  // Sums rest in C between slices of k: each pass but the first reads and writes it.
  const passes = 2 * 4 * product.m * product.n * (slices - 1);
  const memory = bytes / machine.bytesPerSecond;
  return Math.max(cycles / cyclesPerSecond + passes / machine.bytesPerSecond, memory);
}

interface Cut {
  readonly tiles: Tiles;
  readonly lanes: number;
  readonly threads: number;
  /** Whether the micro-kernel works in tile registers. */
  readonly inTiles: boolean;
}

/** Cycles of the busiest thread, over the grid of threads with the fewest. */
function cyclesOf(product: Product, cut: Cut): number {
  let least = Infinity;
  for (let down = 1; down <= cut.threads; down++) {
    if (cut.threads % down !== 0) continue;
    least = Math.min(least, cyclesOfPart(product, { ...cut, down }));
  }
  return least;
}

/**
 * Cycles of a step of k, which loads nv vectors and mr single values, and starts mr · nv multiply-adds: whichever takes longest.
 * @param mr Rows of sums
 * @param nv Vectors of a row
 */
export function vectorStep(mr: number, nv: number): number {
  return Math.max(mr * nv, mr + nv, IN_FLIGHT) / PIPES;
}

function cyclesOfPart(
  { m, n, k }: Product,
  { tiles, lanes, threads, inTiles, down }: Cut & { readonly down: number },
): number {
  const { mr, nv, mc, nc } = tiles;
  const kc = Math.min(tiles.kc, k);
  const strips = Math.ceil(Math.ceil(m / mr) / down);
  const panels = Math.ceil(Math.ceil(n / (nv * lanes)) / (threads / down));
  if (inTiles) return cyclesInTiles({ strips, panels, k: 2 * k }, { ...tiles, kc: 2 * tiles.kc });
  const step = vectorStep(mr, nv);
  const panelMisses = 4 * kc * nv * lanes > 0.75 * CACHE.l1 ? CYCLES.l2 * nv : 0;
  const blockMisses = 4 * kc * mc > 0.75 * CACHE.l2 ? CYCLES.beyond * mr / lanes : 0;
  const slabs = Math.ceil(panels * nv * lanes / nc);
  // A panel of B is packed for one use alone where there are few rows; rows of A once for each slab of columns.
  const packing = panels * nv * CYCLES.packB + slabs * strips * mr / lanes * CYCLES.packA;
  // Loads overlap with arithmetic, but not wholly.
  const tile = step + 0.5 * (panelMisses + blockMisses);
  return k * (strips * panels * tile + packing);
}
