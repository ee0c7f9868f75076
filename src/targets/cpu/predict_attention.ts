/**
 * Predicted time of attention from the sizes of its tiles: what ranks candidates before any is compiled.
 *
 * Counted in cycles of two fused multiply-adds each, over all panels of queries of a row that one document fills: the blocks of both
 * kinds of products with what begins and ends each, exponentials, the copies of keys and values, and what misses the L1 cache.
 * @module
 */
import type { Machine } from "../target.ts";
import { CACHE, CYCLES, PIPES, vectorStep } from "./predict.ts";

/** Sizes of a call. */
export interface AttentionSizes {
  readonly tokens: number;
  readonly seqLen: number;
  readonly heads: number;
  /** Query heads of a head of keys and values. */
  readonly group: number;
  readonly headDim: number;
  readonly queryTile: number;
  readonly keyTile: number;
  /** Sums in registers: rows, vectors of lanes. */
  readonly rows: number;
  readonly vectors: number;
  readonly lanes: number;
  /** Whether products work in tile registers: rows and vectors then change nothing. */
  readonly inTiles: boolean;
}

/** What a pass does for a panel of queries and a tile of keys. */
export interface AttentionPass {
  /** Products that contract head_dim and make a row of lanes for each key. */
  readonly overDim: number;
  /** Products that contract keys and add to a row of lanes for each of head_dim. */
  readonly overKeys: number;
  /** Instructions for each vector of scores. */
  readonly scores: number;
}

/** S; O. An exponential is about 12 instructions. */
export const FORWARD: AttentionPass = { overDim: 1, overKeys: 1, scores: 14 };
/** S, dP; dQ, and dK and dV, which contract queries and cost about the same. */
export const BACKWARD: AttentionPass = { overDim: 2, overKeys: 3, scores: 18 };

/** Instructions that begin and end a row of sums, for each vector. */
const AROUND = 3;

/** Multiply-adds of tile registers in the time of one of vectors. */
const TILES = 8;

/**
 * Seconds with all threads of the machine.
 * @param sizes Sizes of the call
 * @param pass What is done
 * @param on The machine; bytes of all operands
 */
export function predictAttention(
  sizes: AttentionSizes,
  pass: AttentionPass,
  { machine, bytes }: { readonly machine: Machine; readonly bytes: number },
): number {
  const { tokens, seqLen, heads, lanes } = sizes;
  const cyclesPerSecond = machine.flopsPerSecond / (2 * PIPES * lanes);
  const rows = tokens / seqLen * heads;
  return Math.max(
    rows * cyclesOfRow(sizes, pass) / cyclesPerSecond,
    bytes / machine.bytesPerSecond,
  );
}

/** Cycles of one head of a row. */
function cyclesOfRow(sizes: AttentionSizes, pass: AttentionPass): number {
  const { seqLen, headDim, queryTile, keyTile, vectors, lanes, group } = sizes;
  const panel = vectors * lanes;
  // The heads of a group share the copies.
  const copies = 2 * CYCLES.packA * headDim / lanes / group;
  const wholePanel = cyclesOfPanel(sizes, pass, keyTile);
  let cycles = 0;
  for (let query = 0; query < seqLen; query += queryTile) {
    const queries = Math.min(queryTile, seqLen - query);
    // Every query sees these tiles of keys whole.
    const whole = Math.floor(query / keyTile);
    cycles += whole * (copies * keyTile + Math.ceil(queries / panel) * wholePanel);
    for (let key = whole * keyTile; key < query + queries; key += keyTile) {
      const keys = Math.min(keyTile, query + queries - key);
      cycles += copies * keys;
      for (let first = query; first < query + queries; first += panel) {
        const seen = Math.min(keys, first + panel - key);
        if (seen > 0) cycles += cyclesOfPanel(sizes, pass, seen);
      }
    }
  }
  return cycles;
}

/** Cycles of a panel of queries that sees `keys` keys of a tile. */
function cyclesOfPanel(sizes: AttentionSizes, pass: AttentionPass, keys: number): number {
  const { headDim, keyTile, vectors, lanes, inTiles } = sizes;
  const { overDim, overKeys, scores } = pass;
  // Keys or values, scores, and the panel that they meet; tile registers load whole lines, ahead of their use.
  const near = 4 * (keyTile * headDim + (keyTile + headDim) * vectors * lanes);
  const misses = near > CACHE.l1 && !inTiles ? CYCLES.l2 * keys * headDim / lanes : 0;
  return overDim * (blocks(sizes, keys, headDim) + misses) +
    overKeys * (blocks(sizes, headDim, keys) + misses) +
    keys * vectors * scores / PIPES;
}

/** Cycles of `count` rows of sums over `steps`, cut into blocks as each_block of native/cpu/tile_product.hpp cuts them. */
function blocks({ rows, vectors, inTiles }: AttentionSizes, count: number, steps: number): number {
  const around = count * vectors * AROUND / PIPES;
  if (inTiles) return around + count * vectors * steps / PIPES / TILES;
  let left = count, cycles = around;
  for (; left === rows || left >= 2 * rows; left -= rows) {
    cycles += steps * vectorStep(rows, vectors);
  }
  if (left > rows) {
    const half = Math.ceil(left / 2);
    cycles += steps * vectorStep(half, vectors);
    left -= half;
  }
  return left > 0 ? cycles + steps * vectorStep(left, vectors) : cycles;
}
