/**
 * Attention backward: probabilities rebuilt tile by tile from lse; dk and dv of a row and head summed by neighbouring threads.
 * @module
 */
import { num } from "../../../ops/access.ts";
import type { Kernel } from "../../target.ts";
import { traffic } from "../../calls.ts";
import {
  ATTENTION_TUNABLES,
  attentionContext,
  attentionDefaults,
  type AttentionExtents,
  attentionExtents,
  attentionInTiles,
  attentionLegal,
  BLOCK,
  predictPass,
  scratchBytes,
  spread,
} from "./attention.ts";
import { BACKWARD } from "../predict_attention.ts";

/** Bytes of a thread's arrays where products work in tile registers: Tiles of native/cpu/attention_backward_tiles.hpp. */
function inTiles({ headDim, keyTile, columns }: AttentionExtents, sums: number): number {
  return scratchBytes([
    ...Array(4).fill(columns * headDim / 2), // queries and dy, either way
    columns * headDim, // dq, transposed
    columns, // lse
    columns, // delta
    ...Array(3).fill(keyTile * headDim / 2), // keys, either way, and values
    keyTile * columns / 2, // p
    keyTile * columns / 2, // g
    keyTile * BLOCK / 2, // g of a panel, in lines
    ...[BLOCK * BLOCK, BLOCK * BLOCK], // scores: of one block and of the next
    ...[BLOCK * BLOCK, BLOCK * BLOCK], // upstream
    ...[sums, sums, sums, sums], // dk, dv: of a row entered midway, and of others
  ]);
}

/** Threads that take part at most, each with a pointer: Partition::kMaxThreads in native/cpu/attention.hpp. */
const MAX_THREADS = 256;

/** dq, dk and dv. */
export const attentionBackward: Kernel = {
  name: "attention_backward",
  serves: { roots: ["attention_backward"], epilogue: [] },
  tunables: ATTENTION_TUNABLES,
  defaults: attentionDefaults,
  legal: attentionLegal,
  traffic,
  predict: predictPass(BACKWARD),
  workspace(call, values, isa) {
    const extents = attentionExtents(call, values, isa);
    const { headDim, paddedDim, rowStride, keyTile, columns } = extents;
    const sums = num(call.attributes, "seq_len") * paddedDim;
    const blocks = attentionInTiles(call, isa);
    const perThread = blocks ? inTiles(extents, sums) : scratchBytes([
      columns * rowStride, // queries
      columns * headDim, // queries, transposed
      columns * rowStride, // dy
      columns * headDim, // dy, transposed
      columns * headDim, // dq, transposed
      columns, // lse
      columns, // delta
      keyTile * rowStride, // keys
      keyTile * rowStride, // values
      keyTile * spread(columns), // p
      keyTile * spread(columns), // g
      ...[sums, sums, sums, sums], // dk, dv: of a row entered midway, and of others
    ]);
    return { perThread, shared: 8 * MAX_THREADS };
  },
  context: attentionContext,
};
