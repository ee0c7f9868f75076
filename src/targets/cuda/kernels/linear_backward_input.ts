/**
 * dx = dy W (+ residual); of a PaCA linear a first launch makes p = scale dy D, which is added in PaCA's columns.
 * @module
 */
import { dim } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { overTiles } from "../product.ts";
import { cudaProduct } from "../product.ts";

/** The first launch's tiles: a multiple of 16 columns is enough for most ranks. */
const COLUMNS = { bm: 64, bn: 32, bk: 64, stages: 3, warpsM: 4, warpsN: 1 } as const;

const isPaca = (call: KernelCall) => call.node.op === "paca_linear_backward_input";

/** dx. */
export const linearBackwardInput = cudaProduct("linear_backward_input", {
  roots: ["linear_backward_input", "paca_linear_backward_input"],
  epilogue: [["add"]],
  extents: (call) => ({ m: dim(call, "T"), n: dim(call, "K") }),
  fixed: (call, { bn }) => isPaca(call) ? 2 * bn : 0,
  workspace: (call) => isPaca(call) ? 4 * dim(call, "T") * dim(call, "R") : 0,
  launches(call, _values, own) {
    if (!isPaca(call)) return [own];
    const columns = overTiles({ m: dim(call, "T"), n: dim(call, "R") }, COLUMNS);
    return [{ ...columns, entry: "_columns" }, own];
  },
  context: (call) => ({
    paca: isPaca(call),
    residual: call.epilogue.some(({ step }) => step === "add"),
  }),
});
