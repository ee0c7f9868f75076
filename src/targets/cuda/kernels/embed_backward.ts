/**
 * The gradient of the embedding table; a thread owns a column, so that sums have one order.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces } from "../kernel.ts";

/** dweight[ids[t]] += dy[t]. */
export const embedBackward = cudaKernel("embed_backward", {
  tunables: { threads: [32, 64, 128] },
  defaults: () => ({ threads: 32 }),
  launches: (call, { threads }) => [overPieces(dim(call, "D"), Number(threads))],
});
