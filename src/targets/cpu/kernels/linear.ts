/**
 * linear, paca_linear: one matrix product; PaCA's columns are patched while W is packed, so We never exists.
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

/** y[T,O] = x[T,K] Weᵀ + bias + residual; x_p[T,R] = x[:, index]. */
export const linear: Kernel = {
  name: "linear",
  serves: { roots: ["linear", "paca_linear"], epilogue: ["add"] },
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
    return {
      tiles: tilesOf(productOf(call), values, isa),
      paca: call.node.op === "paca_linear",
      bias: operandOf(call, "bias") !== undefined,
      residual: operandOf(call, "residual") !== undefined,
      cost: costText(flops, bytes),
    };
  },
};

function productOf(call: KernelCall): Product {
  return {
    m: dimOf(call, "T"),
    n: dimOf(call, "O"),
    k: dimOf(call, "K"),
    whole: operandOf(call, "y")?.dtype !== "f32",
  };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const { m, n, k } = productOf(call);
  return { flops: 2 * m * n * k, bytes: operandBytes(call) };
}
