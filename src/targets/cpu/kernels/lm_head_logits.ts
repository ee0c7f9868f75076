/**
 * lm_head_logits: logits of a few chosen rows.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { dimOf } from "../gemm_tiles.ts";
import { operandOf } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

/** logits[C,V] = x[rows] Wᵀ. */
export const lmHeadLogits: Kernel = productKernel("lm_head_logits", {
  roots: ["lm_head_logits"],
  product: (call) => ({
    m: dimOf(call, "C"),
    n: dimOf(call, "V"),
    k: dimOf(call, "D"),
    whole: operandOf(call, "logits")?.dtype !== "f32",
  }),
});
