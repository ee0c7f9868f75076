/**
 * lm_head_logits: logits of a few chosen rows.
 * @module
 */
import {
  costText,
  defaultTiles,
  dimOf,
  operandBytes,
  operandOf,
  type Product,
  TILE_TUNABLES,
  tilesFit,
  tilesOf,
} from "../gemm_tiles.ts";
import type { Kernel, KernelCall } from "../../target.ts";

/** logits[C,V] = x[rows] Wᵀ. */
export const lmHeadLogits: Kernel = {
  name: "lm_head_logits",
  serves: { roots: ["lm_head_logits"], epilogue: [] },
  tunables: TILE_TUNABLES,
  defaults: (call, isa) => defaultTiles(productOf(call), isa),
  legal: tilesFit,
  traffic,
  workspace: (call, values, isa) => ({
    perThread: tilesOf(productOf(call), values, isa).scratch,
    shared: 0,
  }),
  context(call, values, isa) {
    const { flops, bytes } = traffic(call);
    return { tiles: tilesOf(productOf(call), values, isa), cost: costText(flops, bytes) };
  },
};

function productOf(call: KernelCall): Product {
  return {
    m: dimOf(call, "C"),
    n: dimOf(call, "V"),
    k: dimOf(call, "D"),
    whole: operandOf(call, "logits")?.dtype !== "f32",
  };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const { m, n, k } = productOf(call);
  return { flops: 2 * m * n * k, bytes: operandBytes(call) };
}
