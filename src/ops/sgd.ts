/**
 * sgd: gradient descent with momentum, and decay apart from it.
 *
 * g ← g · min(1, max_norm / (‖g‖ + 1e-6)); p ← p − lr · wd · (p − anchor); m ← momentum · m + g; p ← p − lr · m, or with Nesterov's
 * look ahead p ← p − lr · (g + momentum · m). Without decay that is torch.optim.SGD with dampening 0; decay is decoupled, as of
 * the other optimisers here (SGDW: Loshchilov and Hutter 2019, algorithm 1), where torch adds it to the gradient.
 * @module
 */
import { z } from "zod";
import { f64, maybe, num } from "./access.ts";
import { type Op, op } from "./op.ts";

/** One step of SGD, in place: outputs are the input tensors. hyper = [lr, wd, max_norm or 0, …]. */
export const sgd: Op = op(
  "sgd",
  "parameters[P], gradients[P], moment1[P], norm[1], hyper[5], anchor?[P] " +
    "-> new_parameters[P], new_moment1[P]",
  {
    attributes: z.strictObject({
      momentum: z.number().min(0).lt(1),
      nesterov: z.boolean(),
    }),
    cost: ({ P }) => ({ flops: 9 * P }),
    reference(inputs, outputs, attributes, { P }) {
      const [p, g, m] = ["parameters", "gradients", "moment1"].map((name) => f64(inputs, name));
      const norm = f64(inputs, "norm")[0];
      const [lr, decay, maxNorm] = f64(inputs, "hyper");
      const anchor = maybe(inputs, "anchor");
      const [newP, newM] = ["new_parameters", "new_moment1"].map((name) => f64(outputs, name));
      const momentum = num(attributes, "momentum");
      const clip = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
      for (let i = 0; i < P; i++) {
        const gradient = g[i] * clip;
        const kept = p[i] - lr * decay * (p[i] - (anchor === undefined ? 0 : anchor[i]));
        newM[i] = momentum * m[i] + gradient;
        const ahead = attributes.nesterov === true;
        newP[i] = kept - lr * (ahead ? gradient + momentum * newM[i] : newM[i]);
      }
    },
  },
);
