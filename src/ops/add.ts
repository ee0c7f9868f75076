/**
 * add: y = a + b, the residual connection and the sum of gradients.
 * @module
 */
import { z } from "zod";
import { f64 } from "./access.ts";
import { type Op, op } from "./op.ts";

/** Elementwise sum. */
export const add: Op = op("add", "a[T,D], b[T,D] -> y[T,D]", {
  attributes: z.strictObject({}),
  cost: ({ T, D }) => ({ flops: T * D }),
  reference(inputs, outputs) {
    const a = f64(inputs, "a");
    const b = f64(inputs, "b");
    const y = f64(outputs, "y");
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined) return;
    g.give("a", dy);
    g.give("b", dy);
  },
});
