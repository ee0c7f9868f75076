/**
 * rms_norm: y = x · inverse_rms · weight, inverse_rms = 1 / sqrt(mean(x²) + eps) (Zhang and Sennrich 2019, eq. 4).
 *
 * With n = x · inverse_rms and h = dy · weight, the derivative is dx = inverse_rms · (h − n · mean(h n)).
 * @module
 */
import { z } from "zod";
import { f64, maybe, num } from "./access.ts";
import { apply, type Op, op } from "./op.ts";

/** Root mean square normalisation of each row. */
export const rmsNorm: Op = op("rms_norm", "x[T,D], weight[D] -> y[T,D], inverse_rms[T]", {
  types: { inverse_rms: "f32" },
  attributes: z.strictObject({ eps: z.number().positive() }),
  cost: ({ T, D }) => ({ flops: 4 * T * D }),
  reference(inputs, outputs, attributes, { T, D }) {
    const x = f64(inputs, "x");
    const weight = f64(inputs, "weight");
    const y = f64(outputs, "y");
    const inverse = f64(outputs, "inverse_rms");
    for (let t = 0; t < T; t++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += x[t * D + d] ** 2;
      inverse[t] = 1 / Math.sqrt(sum / D + num(attributes, "eps"));
      for (let d = 0; d < D; d++) y[t * D + d] = x[t * D + d] * inverse[t] * weight[d];
    }
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined) return;
    const { x, weight } = g.node.inputs;
    const { inverse_rms } = g.node.outputs;
    const trained = g.wanted("weight");
    const { dx } = apply(g.graph, rmsNormBackward, {
      inputs: { dy, x, weight, inverse_rms },
      phase: "backward",
      layer: g.node.layer,
      name: `d_${x.name}`,
      into: trained ? { dweight: g.parameterGradient("weight") } : {},
    });
    g.give("x", dx);
  },
});

/** Gradients of rms_norm. */
export const rmsNormBackward: Op = op(
  "rms_norm_backward",
  "dy[T,D], x[T,D], weight[D], inverse_rms[T] -> dx[T,D], dweight?[D]",
  {
    attributes: z.strictObject({}),
    cost: ({ T, D }) => ({ flops: 8 * T * D }),
    reference(inputs, outputs, _attributes, { T, D }) {
      const dy = f64(inputs, "dy");
      const x = f64(inputs, "x");
      const weight = f64(inputs, "weight");
      const inverse = f64(inputs, "inverse_rms");
      const dx = f64(outputs, "dx");
      const dweight = maybe(outputs, "dweight");
      for (let t = 0; t < T; t++) {
        let dot = 0;
        for (let d = 0; d < D; d++) {
          dot += dy[t * D + d] * weight[d] * x[t * D + d] * inverse[t];
        }
        for (let d = 0; d < D; d++) {
          const i = t * D + d;
          const n = x[i] * inverse[t];
          dx[i] = inverse[t] * (dy[i] * weight[d] - n * dot / D);
          if (dweight !== undefined) dweight[d] += dy[i] * n;
        }
      }
    },
  },
);
