/**
 * The head with its loss: tokens with a target are listed, then taken through logits, softmax and dx some rows at a time.
 * @module
 */
import { dim, operandOf, roundUp } from "../../calls.ts";
import type { KernelCall, Launch, Tunables } from "../../target.ts";
import { SMALL } from "../kernel.ts";
import { cudaProduct, overTiles } from "../product.ts";
import { tilesOf } from "../tiles.ts";

const SOFTMAX_THREADS = 256;

const trained = (call: KernelCall) => operandOf(call, "dweight") !== undefined;
const rowsOf = (call: KernelCall, values: Tunables) =>
  Math.min(Number(values.rows), dim(call, "T"));

/** losses, dx, and dweight where the head is trained. */
export const lmHeadLoss = cudaProduct("lm_head_loss", {
  tunables: { rows: [128, 256, 512, 1024, 2048, 4096] },
  extents: (call) => ({ m: Math.min(1024, dim(call, "T")), n: dim(call, "V") }),
  defaults: () => ({ rows: 1024 }),
  workspace(call, values) {
    const logits = rowsOf(call, values) * roundUp(dim(call, "V"), 8);
    return roundUp(logits * (4 + 2) + 4 * (dim(call, "T") + 1), 16);
  },
  launches(call, values) {
    const [T, D, V] = [dim(call, "T"), dim(call, "D"), dim(call, "V")];
    const rows = rowsOf(call, values);
    const tiles = tilesOf(values);
    const softmax = { grid: [rows, 1, 1] as const, threads: SOFTMAX_THREADS, ...SMALL };
    const once: Launch[] = [
      { entry: "_list", grid: [1, 1, 1], threads: 32, ...SMALL, part: 0 },
      { entry: "_rest", grid: [T, 1, 1], threads: 32, ...SMALL, part: 0 },
    ];
    const parts = Array.from({ length: Math.ceil(T / rows) }, (_, part): Launch[] => [
      { ...overTiles({ m: rows, n: V }, tiles), entry: "_logits", part },
      { entry: "_softmax", ...softmax, part },
      { ...overTiles({ m: rows, n: D }, tiles), entry: "_dx", part },
      ...trained(call) ? [{ ...overTiles({ m: V, n: D }, tiles), entry: "_dweight", part }] : [],
    ]);
    return [...once, ...parts.flat()];
  },
  context: (call, values) => ({
    trained: trained(call),
    rows: rowsOf(call, values),
    threads: SOFTMAX_THREADS,
  }),
});
