/**
 * lm_head_logits: logits of a few chosen rows.
 * @module
 */
import type { Kernel, KernelCall } from "../../target.ts";
import { dimOf, type Product } from "../gemm_tiles.ts";
import { operandOf } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

/** logits[C,V] = x[rows] Wᵀ. */
export const lmHeadLogits: Kernel = productKernel("lm_head_logits", {
  roots: ["lm_head_logits"],
  product: productOf,
  paired: productOf,
});

function productOf(call: KernelCall): Product {
  return {
    m: dimOf(call, "C"),
    n: dimOf(call, "V"),
    k: dimOf(call, "D"),
    whole: operandOf(call, "logits")?.dtype !== "f32",
  };
}
