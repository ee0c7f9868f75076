/**
 * Attention, causal within documents, with a running softmax; a block takes queries of one head.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { dim } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { cudaKernel } from "../kernel.ts";
import { costOf } from "../product.ts";
import { attentionRegisters, headWidth, SHARED_LIMIT } from "../tiles.ts";

/** Two blocks of keys and values, and the queries. */
const shared = (call: KernelCall, queries: number, keys: number) =>
  2 * headWidth(num(call.attributes, "head_dim")) * (4 * keys + queries);

/** y and lse. */
export const attention = cudaKernel("attention", {
  tunables: { queries: [16, 32, 64, 128], keys: [16, 32, 64, 128] },
  defaults: ({ attributes }) => ({ queries: 64, keys: num(attributes, "head_dim") > 64 ? 32 : 64 }),
  legal: ({ queries, keys }, call) => shared(call, Number(queries), Number(keys)) <= SHARED_LIMIT,
  launches(call, { queries, keys }) {
    const seqLen = num(call.attributes, "seq_len");
    const blocks = Math.ceil(seqLen / Number(queries));
    return [{
      entry: "",
      grid: [blocks, num(call.attributes, "heads"), dim(call, "T") / seqLen],
      threads: 2 * Number(queries),
      shared: shared(call, Number(queries), Number(keys)),
      fixedShared: 0,
      registers: attentionRegisters(headWidth(num(call.attributes, "head_dim")), Number(keys)),
    }];
  },
  context: (call) => ({ cost: costOf(call) }),
});
