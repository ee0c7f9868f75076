/**
 * Logits of some rows, for evaluation and generation.
 * @module
 */
import { dim } from "../../calls.ts";
import { cudaProduct } from "../product.ts";

/** logits[c] = x[rows[c]] Wᵀ. */
export const lmHeadLogits = cudaProduct("lm_head_logits", {
  extents: (call) => ({ m: dim(call, "C"), n: dim(call, "V") }),
});
