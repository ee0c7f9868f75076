/**
 * dD += scale dyᵀ x_p, or dW += dyᵀ x: split over tokens where the result is small, the splits added in order.
 * @module
 */
import { dim, roundUp } from "../../calls.ts";
import type { KernelCall, Tunables } from "../../target.ts";
import { overPieces } from "../kernel.ts";
import { cudaProduct } from "../product.ts";

const THREADS = 256;

const isPaca = (call: KernelCall) => call.node.op === "paca_linear_backward_delta";
const columnsOf = (call: KernelCall) => dim(call, isPaca(call) ? "R" : "K");

function splitsOf(call: KernelCall, values: Tunables): { splits: number; splitTokens: number } {
  const T = dim(call, "T");
  const splitTokens = roundUp(Math.ceil(T / Number(values.splits)), Number(values.bk));
  return { splits: Math.ceil(T / splitTokens), splitTokens };
}

/** ddelta or dweight, added to. */
export const linearBackwardWeight = cudaProduct("linear_backward_weight", {
  roots: ["linear_backward_weight", "paca_linear_backward_delta"],
  tunables: { splits: [1, 2, 4, 8, 16, 32] },
  extents: (call) => ({ m: dim(call, "O"), n: columnsOf(call) }),
  defaults: (call) =>
    isPaca(call)
      ? { bm: 64, bn: 32, bk: 64, stages: 3, warpsM: 4, warpsN: 1, splits: 8 }
      : { splits: 1 },
  workspace: (call, values) => 4 * splitsOf(call, values).splits * dim(call, "O") * columnsOf(call),
  launches(call, values, own) {
    const [x, y] = own.grid;
    return [
      { ...own, grid: [x, y, splitsOf(call, values).splits] },
      overPieces(dim(call, "O") * columnsOf(call) / 4, THREADS, "_total"),
    ];
  },
  context: (call, values) => ({
    paca: isPaca(call),
    columns: columnsOf(call),
    ...splitsOf(call, values),
  }),
});
