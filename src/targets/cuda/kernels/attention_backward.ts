/**
 * Attention's gradients in three launches: delta, dk with dv, dq. No atomics; scores are made twice.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { dim } from "../../calls.ts";
import type { KernelCall, Tunables } from "../../target.ts";
import { cudaKernel, divisor, overPieces } from "../kernel.ts";
import { costOf } from "../product.ts";
import { attentionRegisters, headWidth, SHARED_LIMIT } from "../tiles.ts";

/** Rows of a block of the first launch. */
const ROWS = 32;

/** Two tiles that stay, two that pass by. */
const shared = (call: KernelCall, side: number, step: number) =>
  4 * headWidth(num(call.attributes, "head_dim")) * (side + step);

/** dq, dk and dv. */
export const attentionBackward = cudaKernel("attention_backward", {
  tunables: { queries: [16, 32, 64, 128], keys: [16, 32, 64, 128], step: [16, 32, 64] },
  defaults: ({ attributes }) => ({
    queries: 64,
    keys: 64,
    step: num(attributes, "head_dim") > 64 ? 16 : 32,
  }),
  legal: ({ queries, keys, step }, call) =>
    shared(call, Math.max(Number(queries), Number(keys)), Number(step)) <= SHARED_LIMIT,
  workspace: (call) => 4 * dim(call, "T") * num(call.attributes, "heads"),
  launches(call, values) {
    return [
      overPieces(4 * dim(call, "T") * num(call.attributes, "heads"), 4 * ROWS, "_delta"),
      overBlocks(call, { entry: "_keys", side: "keys", heads: "kv_heads", values }),
      overBlocks(call, { entry: "", side: "queries", heads: "heads", values }),
    ];
  },
  context(call) {
    const headDim = num(call.attributes, "head_dim");
    return { cost: costOf(call), rows: ROWS, group: headDim % 8 === 0 ? 8 : divisor(headDim) };
  },
});

function overBlocks(
  call: KernelCall,
  { entry, side, heads, values }: {
    readonly entry: string;
    readonly side: "keys" | "queries";
    readonly heads: "heads" | "kv_heads";
    readonly values: Tunables;
  },
) {
  const seqLen = num(call.attributes, "seq_len");
  const size = Number(values[side]);
  const grid = [
    Math.ceil(seqLen / size),
    num(call.attributes, heads),
    dim(call, "T") / seqLen,
  ] as const;
  const step = Number(values.step);
  const width = headWidth(num(call.attributes, "head_dim"));
  return {
    entry,
    grid,
    threads: 2 * size,
    shared: shared(call, size, step),
    fixedShared: side === "keys" ? 12 * step : 0,
    // dk and dv, or dq; p and ds.
    registers: attentionRegisters(side === "keys" ? 2 * width : width, 2 * step),
  };
}
