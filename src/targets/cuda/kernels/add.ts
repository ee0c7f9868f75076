/**
 * The sum of two tensors, where no other kernel took it over; eight elements a thread.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** y = a + b. */
export const add = cudaKernel("add", {
  ...THREADS,
  launches: (call, { threads }) => [
    overPieces(dim(call, "T") * dim(call, "D") / 8, Number(threads)),
  ],
});
