/**
 * Attention forward: tiles of queries against tiles of keys, online softmax, all heads of a group at once.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { byRoofline } from "../../roofline.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../../target.ts";
import { traffic, workOf } from "../untuned.ts";

/** Tunable parameters of both attention passes: tile extents, and accumulators rows × vectors in registers. */
export const ATTENTION_TUNABLES = {
  query_tile: [16, 32, 64, 128],
  key_tile: [16, 32, 64, 128],
  rows: [4, 6, 8, 12],
  vectors: [1, 2, 3],
} as const;

/**
 * Tiles that fit the first two levels of cache, and as many accumulators as registers allow.
 * @param _call The call
 * @param isa The instruction set
 */
export function attentionDefaults(_call: KernelCall, isa: Isa): Tunables {
  const rows = isa.registers >= 32 ? 8 : isa.lanes >= 8 ? 6 : 4;
  return { query_tile: 64, key_tile: 64, rows, vectors: 2 };
}

/**
 * Whether query tiles are whole vectors and the accumulators, a vector of each column and a broadcast value fit
 * the registers.
 * @param values The parameters
 * @param isa The instruction set
 */
export function attentionLegal(values: Tunables, isa: Isa): boolean {
  const { queryTile, rows, vectors } = attentionValues(values);
  return queryTile % isa.lanes === 0 && rows * vectors + vectors + 1 <= isa.registers;
}

/**
 * The parameters as numbers.
 * @param values The parameters
 */
export function attentionValues(
  values: Tunables,
): { queryTile: number; keyTile: number; rows: number; vectors: number } {
  return {
    queryTile: num(values, "query_tile"),
    keyTile: num(values, "key_tile"),
    rows: num(values, "rows"),
    vectors: num(values, "vectors"),
  };
}

/**
 * The template's context of both passes.
 * @param call The call
 * @param values The parameters
 */
export function attentionContext(
  call: KernelCall,
  values: Tunables,
): Readonly<Record<string, unknown>> {
  const { queryTile, keyTile, rows, vectors } = attentionValues(values);
  return { work: workOf(call), query_tile: queryTile, key_tile: keyTile, rows, vectors };
}

/**
 * Bytes of float32 arrays of these lengths, each from a cache line on, as Scratch in native/cpu/attention.hpp cuts them.
 * @param lengths Elements of each array
 */
export function scratchBytes(lengths: readonly number[]): number {
  return lengths.reduce((total, length) => total + Math.ceil(length / 16) * 64, 0);
}

/** softmax(q kᵀ · scale) v within documents, and the log of the softmax's sums. */
export const attention: Kernel = {
  name: "attention",
  serves: { roots: ["attention"], epilogue: [] },
  tunables: ATTENTION_TUNABLES,
  defaults: attentionDefaults,
  legal: attentionLegal,
  traffic,
  predict: byRoofline(traffic),
  workspace({ attributes }, values, isa) {
    const { queryTile, keyTile } = attentionValues(values);
    const headDim = num(attributes, "head_dim");
    const group = num(attributes, "heads") / num(attributes, "kv_heads");
    const padded = Math.ceil(headDim / isa.lanes) * isa.lanes;
    const perThread = scratchBytes([
      queryTile * padded, // rows
      keyTile * padded, // keys
      keyTile * padded, // values
      keyTile * queryTile, // scores
      queryTile, // factor
      group * headDim * queryTile, // queries, transposed
      group * queryTile * padded, // out
      group * queryTile, // maximum
      group * queryTile, // total
    ]);
    return { perThread, shared: 0 };
  },
  context: attentionContext,
};
