/**
 * lm_head: cross-entropy of the next token without a [T, vocab] tensor, loss and gradient in one visit; and logits of a few rows.
 *
 * Of each supervised row: losses = log Σ_v exp(z_v) − z_target, z = x Wᵀ; dz = (softmax(z) − onehot(target)) ·
 * loss_scale; dx = dz W; dweight += dzᵀ x. Nothing follows the loss, so its gradient is loss_scale itself and
 * the forward node can give dx at once. Ignored rows have loss 0 and dx 0 and cost nothing.
 * @module
 */
import { z } from "zod";
import { f64, i32, maybe } from "./access.ts";
import { type Op, op } from "./op.ts";

const none = z.strictObject({});

/** Loss of each token, and what flows back. */
export const lmHeadLoss: Op = op(
  "lm_head_loss",
  "x[T,D], weight[V,D], target[T], loss_scale[1] -> losses[T], dx[T,D], dweight?[V,D]",
  {
    attributes: none,
    types: { losses: "f32", dx: "f32" },
    cost: ({ T, D, V }) => ({ flops: 4 * T * D * V }),
    reference(inputs, outputs, _attributes, { T, D, V }) {
      const x = f64(inputs, "x");
      const weight = f64(inputs, "weight");
      const target = i32(inputs, "target");
      const scale = f64(inputs, "loss_scale")[0];
      const losses = f64(outputs, "losses");
      const dx = f64(outputs, "dx");
      const dweight = maybe(outputs, "dweight");
      for (let t = 0; t < T; t++) {
        if (target[t] < 0) continue;
        const logits = logitsOf(x.subarray(t * D, t * D + D), weight, V);
        const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
        const sum = logits.reduce((total, logit) => total + Math.exp(logit - max), 0);
        losses[t] = max + Math.log(sum) - logits[target[t]];
        for (let v = 0; v < V; v++) {
          const p = Math.exp(logits[v] - max) / sum;
          const dz = (p - (v === target[t] ? 1 : 0)) * scale;
          for (let d = 0; d < D; d++) {
            dx[t * D + d] += dz * weight[v * D + d];
            if (dweight !== undefined) dweight[v * D + d] += dz * x[t * D + d];
          }
        }
      }
    },
    gradient: (g) => g.give("x", g.node.outputs.dx),
  },
);

/** loss = loss_scale · Σ losses. */
export const meanLoss: Op = op("mean_loss", "losses[T], loss_scale[1] -> loss[1]", {
  attributes: none,
  cost: ({ T }) => ({ flops: T }),
  reference(inputs, outputs) {
    const total = f64(inputs, "losses").reduce((sum, loss) => sum + loss, 0);
    f64(outputs, "loss")[0] = total * f64(inputs, "loss_scale")[0];
  },
});

/** Logits of chosen rows. */
export const lmHeadLogits: Op = op(
  "lm_head_logits",
  "x[T,D], weight[V,D], rows[C] -> logits[C,V]",
  {
    attributes: none,
    cost: ({ C, D, V }) => ({ flops: 2 * C * D * V }),
    reference(inputs, outputs, _attributes, { D, V }) {
      const x = f64(inputs, "x");
      const weight = f64(inputs, "weight");
      const logits = f64(outputs, "logits");
      i32(inputs, "rows").forEach((row, c) => {
        logits.set(logitsOf(x.subarray(row * D, row * D + D), weight, V), c * V);
      });
    },
  },
);

function logitsOf(x: Float64Array, weight: Float64Array, vocab: number): Float64Array {
  const width = x.length;
  return Float64Array.from({ length: vocab }, (_, v) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += x[d] * weight[v * width + d];
    return sum;
  });
}
