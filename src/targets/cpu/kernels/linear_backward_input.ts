/**
 * linear_backward_input, paca_linear_backward_input: the gradient that flows on, with PaCA's columns patched while W is packed.
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

/** dx[T,K] = dy[T,O] We + residual. */
export const linearBackwardInput: Kernel = {
  name: "linear_backward_input",
  serves: { roots: ["linear_backward_input", "paca_linear_backward_input"], epilogue: ["add"] },
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
      paca: call.node.op === "paca_linear_backward_input",
      residual: operandOf(call, "residual") !== undefined,
      cost: costText(flops, bytes),
    };
  },
};

function productOf(call: KernelCall): Product {
  return {
    m: dimOf(call, "T"),
    n: dimOf(call, "K"),
    k: dimOf(call, "O"),
    whole: operandOf(call, "dx")?.dtype !== "f32",
  };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const { m, n, k } = productOf(call);
  return { flops: 2 * m * n * k, bytes: operandBytes(call) };
}
