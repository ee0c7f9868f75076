/**
 * Rows of the embedding table; a warp takes a row.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, groupOf, overRows, ROWS } from "../kernel.ts";

/** y[t] = weight[ids[t]]. */
export const embed = cudaKernel("embed", {
  ...ROWS,
  launches: (call, { rows }) => [overRows(dim(call, "T"), Number(rows))],
  context: (call) => ({ group: groupOf(call) }),
});
