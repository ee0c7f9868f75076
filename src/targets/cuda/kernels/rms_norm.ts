/**
 * Root mean square normalisation; a warp takes a row.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, groupOf, overRows, ROWS } from "../kernel.ts";

/** y = x · inverse_rms · weight, and inverse_rms. */
export const rmsNorm = cudaKernel("rms_norm", {
  ...ROWS,
  launches: (call, { rows }) => [overRows(dim(call, "T"), Number(rows))],
  context: (call) => ({ group: groupOf(call) }),
});
