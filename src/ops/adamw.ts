/**
 * global_norm and adamw: the optimiser over all trained parameters as one flat vector.
 *
 * g ← g · min(1, max_norm / (‖g‖ + 1e-6)), as torch's clip_grad_norm_; p ← p − lr · wd · (p − anchor); m, v the moving
 * averages; p ← p − lr · (m / bc1) / (sqrt(v / bc2) + epsilon), bc = 1 − betaᵗ (Loshchilov and Hutter 2019, algorithm 2).
 * Moments of 8 bits are not built: both are 19.9 MB of the 1129 MB (arena and mapped weights) that SmolLM2 takes with PaCA r 16 at
 * 4 x 512, so 8 bits with a scale a block would save 1.3 %, and the update is 0.03 % of a step (`deno task inspect`).
 * The anchor is what decay pulls to: 0, or −W0[:, idx] / s where PaCA's `weight` parametrisation decays whole columns.
 * @module
 */
import { z } from "zod";
import { f64, maybe, num } from "./access.ts";
import { type Op, op } from "./op.ts";

/**
 * The shares of the moments kept a step whose start from 0 is corrected, as hyper's bc = 1 − betaᵗ: AdamW's. Other optimisers
 * correct nothing, which betas of 0 say.
 * @param optimizer An optimiser's settings
 */
export function decayRates(
  optimizer:
    | { readonly kind: "adamw"; readonly beta1: number; readonly beta2: number }
    | { readonly kind: "lion" | "sgd" },
): { readonly beta1: number; readonly beta2: number } {
  if (optimizer.kind !== "adamw") return { beta1: 0, beta2: 0 };
  const { beta1, beta2 } = optimizer;
  return { beta1, beta2 };
}

/** Euclidean norm of all gradients. */
export const globalNorm: Op = op("global_norm", "gradients[P] -> norm[1]", {
  attributes: z.strictObject({}),
  cost: ({ P }) => ({ flops: 2 * P }),
  reference(inputs, outputs) {
    const sum = f64(inputs, "gradients").reduce((total, g) => total + g * g, 0);
    f64(outputs, "norm")[0] = Math.sqrt(sum);
  },
});

/** One step of AdamW, in place: outputs are the input tensors. hyper = [lr, wd, max_norm or 0, bc1, bc2]. */
export const adamw: Op = op(
  "adamw",
  "parameters[P], gradients[P], moment1[P], moment2[P], norm[1], hyper[5], anchor?[P] " +
    "-> new_parameters[P], new_moment1[P], new_moment2[P]",
  {
    attributes: z.strictObject({
      beta1: z.number().min(0).lt(1),
      beta2: z.number().min(0).lt(1),
      epsilon: z.number().positive(),
    }),
    cost: ({ P }) => ({ flops: 15 * P }),
    reference(inputs, outputs, attributes, { P }) {
      const [p, g, m, v] = ["parameters", "gradients", "moment1", "moment2"]
        .map((name) => f64(inputs, name));
      const norm = f64(inputs, "norm")[0];
      const [lr, decay, maxNorm, correction1, correction2] = f64(inputs, "hyper");
      const anchor = maybe(inputs, "anchor");
      const [newP, newM, newV] = ["new_parameters", "new_moment1", "new_moment2"]
        .map((name) => f64(outputs, name));
      const { beta1, beta2, epsilon } = {
        beta1: num(attributes, "beta1"),
        beta2: num(attributes, "beta2"),
        epsilon: num(attributes, "epsilon"),
      };
      const clip = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
      for (let i = 0; i < P; i++) {
        const gradient = g[i] * clip;
        const kept = p[i] - lr * decay * (p[i] - (anchor === undefined ? 0 : anchor[i]));
        newM[i] = beta1 * m[i] + (1 - beta1) * gradient;
        newV[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        newP[i] = kept -
          lr * (newM[i] / correction1) / (Math.sqrt(newV[i] / correction2) + epsilon);
      }
    },
  },
);
