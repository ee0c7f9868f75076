/**
 * The gated activation of the feed-forward block; eight elements a thread.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** y = gate · sigmoid(gate) · up. */
export const swiglu = cudaKernel("swiglu", {
  ...THREADS,
  launches: (call, { threads }) => [
    overPieces(dim(call, "T") * dim(call, "F") / 8, Number(threads)),
  ],
});
