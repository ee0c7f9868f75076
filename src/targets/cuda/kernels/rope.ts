/**
 * Rotary position embedding of all heads of a projection; a thread takes neighbouring pairs of one head.
 * @module
 */
import { dim } from "../../calls.ts";
import type { KernelCall } from "../../target.ts";
import { num } from "../../../ops/access.ts";
import { cudaKernel, divisor, overPieces, THREADS } from "../kernel.ts";

/** Halves of heads are groups of float32, which the table is. */
const groupOf = ({ attributes }: KernelCall) => divisor(num(attributes, "head_dim") / 2);

/** Rotates halves of heads by the token's position. */
export const rope = cudaKernel("rope", {
  ...THREADS,
  launches: (call, { threads }) => [
    overPieces(dim(call, "T") * dim(call, "Q") / 2 / groupOf(call), Number(threads)),
  ],
  context: (call) => ({ group: groupOf(call), inverse: call.attributes.inverse === true }),
});
