/**
 * The gradient of the embedding table; a block takes a token, the first of an id all of that id, so that sums have one order.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaKernel, groupOf, SMALL, THREADS } from "../kernel.ts";

/** dweight[ids[t]] += dy[t]. */
export const embedBackward = cudaKernel("embed_backward", {
  ...THREADS,
  launches: (call, { threads }) => [
    { entry: "", grid: [dim(call, "T"), 1, 1], threads: Number(threads), ...SMALL },
  ],
  context: (call) => ({ group: groupOf(call) }),
});
