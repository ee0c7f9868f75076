/**
 * Starts, positions and targets of packed documents; a thread takes a row of tokens.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { dim } from "../../calls.ts";
import { cudaKernel, overPieces } from "../kernel.ts";

/** start, position and target of each token. */
export const documents = cudaKernel("documents", {
  launches: (call) => [overPieces(dim(call, "T") / num(call.attributes, "seq_len"), 32)],
});
