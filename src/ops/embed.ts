/**
 * embed: y[t] = weight[ids[t]].
 * @module
 */
import { z } from "zod";
import { f64, i32 } from "./access.ts";
import { apply, type Op, op } from "./op.ts";

/** Rows of a table by token id. */
export const embed: Op = op("embed", "ids[T], weight[V,D] -> y[T,D]", {
  attributes: z.strictObject({}),
  cost: () => ({ flops: 0 }),
  reference(inputs, outputs, _attributes, { T, D }) {
    const ids = i32(inputs, "ids");
    const weight = f64(inputs, "weight");
    const y = f64(outputs, "y");
    for (let t = 0; t < T; t++) y.set(weight.subarray(ids[t] * D, ids[t] * D + D), t * D);
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined || !g.wanted("weight")) return;
    const weight = g.parameterGradient("weight");
    apply(g.graph, embedBackward, {
      inputs: { ids: g.node.inputs.ids, dy },
      attributes: { vocab: weight.shape[0] },
      phase: "backward",
      layer: g.node.layer,
      name: "unused",
      into: { dweight: weight },
    });
  },
});

/** dweight[ids[t]] += dy[t], in the order of tokens. */
export const embedBackward: Op = op("embed_backward", "ids[T], dy[T,D] -> dweight[V,D]", {
  attributes: z.strictObject({ vocab: z.int().min(1) }),
  dims: ({ vocab }) => ({ V: Number(vocab) }),
  cost: ({ T, D }) => ({ flops: T * D }),
  reference(inputs, outputs, _attributes, { T, D }) {
    const ids = i32(inputs, "ids");
    const dy = f64(inputs, "dy");
    const dweight = f64(outputs, "dweight");
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) dweight[ids[t] * D + d] += dy[t * D + d];
    }
  },
});
