/**
 * lion: the sign of an interpolated momentum moves every parameter by the same amount, whatever its gradient's size.
 *
 * g ← g · min(1, max_norm / (‖g‖ + 1e-6)); p ← p − lr · wd · (p − anchor); p ← p − lr · sign(beta1 m + (1 − beta1) g), sign(0) = 0;
 * m ← beta2 m + (1 − beta2) g (Chen et al. 2023, algorithm 2). One moment in place of AdamW's two; good learning rates are
 * three to ten times below AdamW's, since a step's norm is that of ±1 everywhere.
 * @module
 */
import { z } from "zod";
import { f64, maybe, num } from "./access.ts";
import { type Op, op } from "./op.ts";

/** One step of Lion, in place: outputs are the input tensors. hyper = [lr, wd, max_norm or 0, …]. */
export const lion: Op = op(
  "lion",
  "parameters[P], gradients[P], moment1[P], norm[1], hyper[5], anchor?[P] " +
    "-> new_parameters[P], new_moment1[P]",
  {
    attributes: z.strictObject({
      beta1: z.number().min(0).lt(1),
      beta2: z.number().min(0).lt(1),
    }),
    cost: ({ P }) => ({ flops: 12 * P }),
    reference(inputs, outputs, attributes, { P }) {
      const [p, g, m] = ["parameters", "gradients", "moment1"].map((name) => f64(inputs, name));
      const norm = f64(inputs, "norm")[0];
      const [lr, decay, maxNorm] = f64(inputs, "hyper");
      const anchor = maybe(inputs, "anchor");
      const [newP, newM] = ["new_parameters", "new_moment1"].map((name) => f64(outputs, name));
      const beta1 = num(attributes, "beta1"), beta2 = num(attributes, "beta2");
      const clip = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
      for (let i = 0; i < P; i++) {
        const gradient = g[i] * clip, moment = m[i];
        const kept = p[i] - lr * decay * (p[i] - (anchor === undefined ? 0 : anchor[i]));
        newP[i] = kept - lr * Math.sign(beta1 * moment + (1 - beta1) * gradient);
        newM[i] = beta2 * moment + (1 - beta2) * gradient;
      }
    },
  },
);
