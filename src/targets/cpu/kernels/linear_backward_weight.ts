/**
 * linear_backward_weight, paca_linear_backward_delta: a parameter's gradient, summed over all tokens and added to.
 * @module
 */
import {
  costText,
  defaultTiles,
  dimOf,
  operandBytes,
  type Product,
  TILE_TUNABLES,
  tilesFit,
  tilesOf,
} from "../gemm_tiles.ts";
import type { Kernel, KernelCall } from "../../target.ts";

/** dweight[O,K] += dyᵀ x, or ddelta[O,R] += scale dyᵀ x_p. */
export const linearBackwardWeight: Kernel = {
  name: "linear_backward_weight",
  serves: { roots: ["linear_backward_weight", "paca_linear_backward_delta"], epilogue: [] },
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
      paca: isDelta(call),
      columns: productOf(call).n,
      cost: costText(flops, bytes),
    };
  },
};

function isDelta(call: KernelCall): boolean {
  return call.node.op === "paca_linear_backward_delta";
}

function productOf(call: KernelCall): Product {
  return { m: dimOf(call, "O"), n: dimOf(call, isDelta(call) ? "R" : "K"), k: dimOf(call, "T") };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const { m, n, k } = productOf(call);
  return { flops: 2 * m * n * k, bytes: operandBytes(call) };
}
