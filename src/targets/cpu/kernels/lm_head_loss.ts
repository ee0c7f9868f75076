/**
 * lm_head_loss of a frozen W: cross-entropy and its gradient, a slice of the vocabulary at a time for many supervised rows, so that logits
 * never leave the caches and W is packed once for all of those rows.
 * @module
 */
import { must } from "../../../errors.ts";
import { bytesOf } from "../../../graph/graph.ts";
import { costText, operandOf } from "../../calls.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../../target.ts";
import {
  defaultTiles,
  dimOf,
  inTiles,
  operandBytes,
  takesPairs,
  TILE_TUNABLES,
  tilesFit,
} from "../gemm_tiles.ts";
import { dxProduct, dxTiles, headLayout, headSeconds, rowsOf } from "../lm_head.ts";

/** The default number of rows. */
const ROWS = { rows: 2048 } as const;

/** losses = -log softmax(x Wᵀ)[target]; dx = (softmax - onehot) W loss_scale. */
export const lmHeadLoss: Kernel = {
  name: "lm_head_loss",
  serves: {
    roots: ["lm_head_loss"],
    epilogue: [],
    only: ({ outputs }) => outputs.dweight === undefined,
  },
  /**
   * `rows`: how many go through the vocabulary together. `kc`, `mc`, `nc` are of the product that makes dx, `logits_X` of the one that
   * makes logits, the other sizes of both. `logits_kib`: of logits at a time, where one slice of the k of dx is not more. `few`: rows of a
   * thread below which threads divide the steps.
   */
  tunables: {
    ...TILE_TUNABLES,
    logits_kc: [192, 256, 384, 512, 768, 1024, 1536],
    logits_mc: [12, 24, 48, 96, 132, 192],
    logits_nc: [64, 96, 192, 256, 384, 512, 768],
    logits_kib: [16, 1024, 4096, 16384],
    rows: [128, 256, 512, 1024, 2048, 4096],
    few: [6, 64, 256],
  },
  defaults: (call, isa) => {
    const product = dxProduct(call, ROWS, isa);
    const tiles = inTiles(product, isa);
    return {
      ...defaultTiles(product, isa),
      // Sums of dx rest in scratch in tile registers, since its rows are scattered.
      ...(tiles ? { kc: 768, fetch: 5 } : { kc: product.pairs === true ? 1024 : 512, mc: 48 }),
      nc: dimOf(call, "D") <= 576 ? 576 : 768,
      logits_kc: 768,
      logits_mc: 24,
      logits_nc: tiles ? 768 : 256,
      logits_kib: 4096,
      ...ROWS,
      few: 64,
    };
  },
  legal: (values, isa, call) => tilesFit(dxProduct(call, values, isa), values, isa),
  traffic,
  predict(call, values, on) {
    const layout = headLayout(call, values, { isa: on.isa, wide: sliceOf(call, values, on.isa) });
    const chunks = Math.ceil(dimOf(call, "T") / layout.rows);
    return chunks * headSeconds(call, layout, { ...on, bytes: operandBytes(call) / chunks });
  },
  workspace(call, values, isa) {
    const wide = sliceOf(call, values, isa);
    const { rows, perThread, shared } = headLayout(call, values, { isa, wide });
    return { perThread, shared: shared + 4 * KNOWN * rows };
  },
  context(call, values, isa) {
    const { flops, bytes } = traffic(call, values);
    const slice = sliceOf(call, values, isa);
    return {
      ...headLayout(call, values, { isa, wide: slice }),
      ...{ slice, few: Number(values.few) },
      pairs: takesPairs(call, isa),
      cost: costText(flops, bytes),
    };
  },
};

/** Floats that are known of a row's logits (LogitRow of native/cpu/softmax.hpp). */
const KNOWN = 3;

/** Values of the vocabulary that are taken at a time: whole slices of the k of dx. */
function sliceOf(call: KernelCall, values: Tunables, isa: Isa): number {
  const { kc } = dxTiles(call, values, isa);
  const slices = Math.floor(1024 * Number(values.logits_kib) / (4 * rowsOf(call, values) * kc));
  return kc * Math.max(1, slices);
}

/** Each pass over the vocabulary reads W for the logits; for dx it is still in the caches. */
function traffic(call: KernelCall, values: Tunables): { flops: number; bytes: number } {
  const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
  const again = Math.ceil(T / rowsOf(call, values)) - 1;
  const weight = bytesOf(must(operandOf(call, "weight"), "weight"));
  return { flops: 2 * 2 * T * D * V, bytes: operandBytes(call) + again * weight };
}
