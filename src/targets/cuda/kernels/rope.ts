/**
 * Rotary position embedding of all heads of a projection; a thread takes a pair.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces, THREADS } from "../kernel.ts";

/** Rotates halves of heads by the token's position. */
export const rope = cudaKernel("rope", {
  ...THREADS,
  launches: (call, { threads }) => [
    overPieces(dim(call, "T") * dim(call, "Q") / 2, Number(threads)),
  ],
  context: ({ attributes }) => ({ inverse: attributes.inverse === true }),
});
