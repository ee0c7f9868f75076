/**
 * lm_head_loss of a W that is trained: cross-entropy and its gradients for a chunk of supervised rows at a time, so that no [T, vocab]
 * tensor exists. W's own gradient takes finished probabilities, so all logits of a chunk are there at once.
 * @module
 */
import { costText } from "../../calls.ts";
import type { Isa, Kernel, KernelCall, Tunables } from "../../target.ts";
import {
  defaultTiles,
  dimOf,
  operandBytes,
  TILE_TUNABLES,
  type Tiles,
  tilesFit,
  tilesOf,
} from "../gemm_tiles.ts";
import { dxProduct, type HeadLayout, headLayout, headSeconds, rowsOf } from "../lm_head.ts";
import { predictSteps } from "../product_kernel.ts";

/** The default number of rows. */
const ROWS = { rows: 256 } as const;

/** losses = -log softmax(x Wᵀ)[target]; dx = dz W; dweight += dzᵀ x, with dz = (softmax - onehot) loss_scale. */
export const lmHeadLossTrained: Kernel = {
  name: "lm_head_loss_trained",
  serves: {
    roots: ["lm_head_loss"],
    epilogue: [],
    only: ({ outputs }) => outputs.dweight !== undefined,
  },
  /**
   * `rows`: rows of a chunk, each with `vocab` logits. `mc`, `nc`, `kc` are of the products with dz, `logits_X` of the one
   * that makes the logits.
   */
  tunables: {
    ...TILE_TUNABLES,
    logits_kc: [192, 256, 384, 512, 768, 1024, 1536],
    logits_mc: [24, 48, 96, 132, 192, 264, 516],
    logits_nc: [32, 64, 96, 192, 384],
    rows: [32, 64, 96, 128, 192, 256, 384, 512],
  },
  /**
   * dx takes all columns at once where they are few, so that logits come from memory once, and short slices of the
   * vocabulary. The logits take a few columns of W and many rows at a time, since the rows of x stay in the caches.
   */
  defaults: (call, isa) => ({
    ...defaultTiles(dxProduct(call, ROWS, isa), isa),
    kc: 512,
    mc: 48,
    nc: dimOf(call, "D") <= 576 ? 576 : 768,
    logits_kc: 768,
    logits_mc: 132,
    logits_nc: 96,
    ...ROWS,
  }),
  legal: (values, isa, call) => tilesFit(dxProduct(call, values, isa), values, isa),
  traffic,
  predict(call, values, on) {
    const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
    const layout = layoutOf(call, values, on.isa);
    const { rows, dweight } = layout;
    const at = { ...on, bytes: operandBytes(call) * rows / T + 2 * 4 * rows * V };
    const chunk = headSeconds(call, layout, at) +
      predictSteps({ m: V, n: D, k: rows }, dweight, at);
    return Math.ceil(T / rows) * chunk;
  },
  workspace(call, values, isa) {
    const { perThread, shared } = layoutOf(call, values, isa);
    return { perThread, shared };
  },
  context(call, values, isa) {
    const { flops, bytes } = traffic(call);
    return { ...layoutOf(call, values, isa), cost: costText(flops, bytes) };
  },
};

function layoutOf(
  call: KernelCall,
  values: Tunables,
  isa: Isa,
): HeadLayout & { readonly dweight: Tiles } {
  const [D, V] = ["D", "V"].map((name) => dimOf(call, name));
  const dweight = tilesOf({ m: V, n: D, k: rowsOf(call, values) }, values, isa);
  return { ...headLayout(call, values, { isa, wide: V, others: dweight.scratch }), dweight };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
  return { flops: 3 * 2 * T * D * V, bytes: operandBytes(call) + 3 * 2 * 4 * T * V };
}
