/**
 * Attention forward: tiles of queries against tiles of keys, online softmax, all heads of a group at once.
 * @module
 */
import { num } from "../../../ops/access.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../../target.ts";
import { type AttentionPass, FORWARD, predictAttention } from "../predict_attention.ts";
import { operandOf, roundUp, traffic, workOf } from "../../calls.ts";

/** Tunable parameters of both attention passes: tile extents, and sums of rows × vectors in registers. */
export const ATTENTION_TUNABLES = {
  query_tile: [16, 32, 48, 64, 96, 128],
  key_tile: [48, 64, 96, 128, 144, 192, 256],
  rows: [4, 6, 8, 12],
  vectors: [1, 2, 3],
} as const;

/**
 * As many sums as registers allow; query tiles of about 192 columns over the heads of a group, so that tiles stay in
 * the second level of cache.
 * @param call The call
 * @param isa The instruction set
 */
export function attentionDefaults(call: KernelCall, isa: Isa): Tunables {
  if (attentionInTiles(call, isa)) {
    // Forward, keys are packed less often with larger tiles: 1.05 to 1.1 times as fast on a Xeon; backward it is the same.
    const query_tile = call.node.op === "attention" ? 128 : 64;
    return { query_tile, key_tile: 128, rows: 4, vectors: 2 };
  }
  const rows = isa.registers < 32 ? (isa.lanes < 8 ? 4 : 6) : isa.lanes < 16 ? 8 : 12;
  const columns = 192 / groupOf(call);
  const query_tile = columns > 64 ? 128 : columns > 32 ? 64 : 32;
  return { query_tile, key_tile: 96, rows, vectors: 2 };
}

/** Rows and columns of a product in tile registers: kBlock of native/cpu/attention_tiles.hpp. */
export const BLOCK = 32;

/**
 * Whether a call's products work in tile registers: its operands are bf16, and heads are whole steps of 32 values.
 * @param call The call
 * @param isa The instruction set
 */
export function attentionInTiles(call: KernelCall, isa: Isa): boolean {
  const stored = ["q", "k", "v"].every((name) => operandOf(call, name)?.dtype === "bf16");
  const { head_dim, scale } = call.attributes;
  return isa.pairs > 1 && stored && Number(head_dim) % BLOCK === 0 && Number(scale) > 0;
}

/**
 * Whether query tiles are whole panels and the sums, a vector of each column and a broadcast value fit the registers; in tile
 * registers, whether both tiles are whole blocks.
 * @param values The parameters
 * @param isa The instruction set
 * @param call The call
 */
export function attentionLegal(values: Tunables, isa: Isa, call: KernelCall): boolean {
  const { queryTile, keyTile, rows, vectors } = attentionValues(values);
  if (attentionInTiles(call, isa)) {
    return queryTile % BLOCK === 0 && keyTile % BLOCK === 0 && rows === 4 && vectors === 2;
  }
  return queryTile % (vectors * isa.lanes) === 0 && rows * vectors + vectors + 1 <= isa.registers;
}

/** The parameters as numbers. */
interface AttentionValues {
  readonly queryTile: number;
  readonly keyTile: number;
  readonly rows: number;
  readonly vectors: number;
}

function attentionValues(values: Tunables): AttentionValues {
  return {
    queryTile: num(values, "query_tile"),
    keyTile: num(values, "key_tile"),
    rows: num(values, "rows"),
    vectors: num(values, "vectors"),
  };
}

/** The parameters, with tiles no longer than a row. */
function tilesOf(call: KernelCall, values: Tunables, isa: Isa): AttentionValues {
  const all = attentionValues(values);
  const seqLen = num(call.attributes, "seq_len");
  const panel = all.vectors * isa.lanes;
  return {
    ...all,
    queryTile: Math.min(all.queryTile, Math.ceil(seqLen / panel) * panel),
    keyTile: Math.min(all.keyTile, attentionInTiles(call, isa) ? roundUp(seqLen, BLOCK) : seqLen),
  };
}

/**
 * The template's context of both passes.
 * @param call The call
 * @param values The parameters
 * @param isa The instruction set
 */
export function attentionContext(
  call: KernelCall,
  values: Tunables,
  isa: Isa,
): Readonly<Record<string, unknown>> {
  const { queryTile, keyTile, rows, vectors } = tilesOf(call, values, isa);
  const tiles = attentionInTiles(call, isa);
  return { work: workOf(call), query_tile: queryTile, key_tile: keyTile, rows, vectors, tiles };
}

/** Extents of a thread's arrays, as Shape in native/cpu/attention.hpp has them. */
export interface AttentionExtents {
  readonly headDim: number;
  /** head_dim in whole vectors. */
  readonly paddedDim: number;
  /** Floats between copied rows of q, k, v. */
  readonly rowStride: number;
  readonly keyTile: number;
  /** Queries of all heads of a tile. */
  readonly columns: number;
}

/**
 * Extents that the workspace follows from.
 * @param call The call
 * @param values The parameters
 * @param isa The instruction set
 */
export function attentionExtents(call: KernelCall, values: Tunables, isa: Isa): AttentionExtents {
  const { queryTile, keyTile } = tilesOf(call, values, isa);
  const headDim = num(call.attributes, "head_dim");
  const paddedDim = Math.ceil(headDim / isa.lanes) * isa.lanes;
  return {
    headDim,
    paddedDim,
    rowStride: spread(paddedDim),
    keyTile,
    columns: groupOf(call) * queryTile,
  };
}

function groupOf({ attributes }: KernelCall): number {
  return num(attributes, "heads") / num(attributes, "kv_heads");
}

/**
 * `count` floats in an odd number of cache lines, as spread() in native/cpu/attention.hpp.
 * @param count Floats
 */
export function spread(count: number): number {
  return 16 * (Math.ceil(count / 16) | 1);
}

/**
 * Bytes of float32 arrays of these lengths, each from a cache line on, as Scratch in native/cpu/attention.hpp cuts them.
 * @param lengths Elements of each array
 */
export function scratchBytes(lengths: readonly number[]): number {
  return lengths.reduce((total, length) => total + Math.ceil(length / 16) * 64, 0);
}

/**
 * The `predict` of a pass.
 * @param pass What it does
 */
export function predictPass(pass: AttentionPass): Kernel["predict"] {
  return (call, values, { isa, machine }) => {
    const sizes = {
      ...tilesOf(call, values, isa),
      tokens: num(call.dims, "T"),
      seqLen: num(call.attributes, "seq_len"),
      heads: num(call.attributes, "heads"),
      group: groupOf(call),
      headDim: num(call.attributes, "head_dim"),
      lanes: isa.lanes,
      inTiles: attentionInTiles(call, isa),
    };
    return predictAttention(sizes, pass, { machine, bytes: traffic(call).bytes });
  };
}

/** softmax(q kᵀ · scale) v within documents, and the log of the softmax's sums. */
export const attention: Kernel = {
  name: "attention",
  serves: { roots: ["attention"], epilogue: [] },
  tunables: ATTENTION_TUNABLES,
  defaults: attentionDefaults,
  legal: attentionLegal,
  traffic,
  predict: predictPass(FORWARD),
  workspace(call, values, isa) {
    const { headDim, rowStride, keyTile, columns } = attentionExtents(call, values, isa);
    if (attentionInTiles(call, isa)) {
      const perThread = scratchBytes([
        keyTile * headDim / 2, // keys
        keyTile * headDim / 2, // values, transposed
        ...[keyTile * BLOCK, keyTile * BLOCK], // scores: of one panel and of the next
        keyTile * BLOCK / 2, // weights
        columns * headDim / 2, // queries
        columns * headDim, // out, transposed
        columns, // maximum
        columns, // total
      ]);
      return { perThread, shared: 0 };
    }
    const perThread = scratchBytes([
      keyTile * rowStride, // keys
      keyTile * rowStride, // values
      columns * headDim, // queries, transposed
      columns * headDim, // out, transposed
      columns * keyTile, // scores
      columns, // maximum
      columns, // total
      columns, // factor
    ]);
    return { perThread, shared: 0 };
  },
  context: attentionContext,
};
