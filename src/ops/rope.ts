/**
 * rope: rotary position embedding (Su et al. 2021), halves of a head rotated as in Hugging Face models.
 *
 * y[i] = x[i] cos[i] − x[i+h] sin[i], y[i+h] = x[i+h] cos[i] + x[i] sin[i], h = head_dim / 2. The table's row p holds
 * h cosines, then h sines of position p. A rotation's transpose is its inverse: backward is rope with −sin.
 * @module
 */
import { z } from "zod";
import { f64, i32, num } from "./access.ts";
import { apply, type Op, op } from "./op.ts";

/** Rotation of each head by its token's position. */
export const rope: Op = op("rope", "x[T,Q], position[T], table[S,P] -> y[T,Q]", {
  attributes: z.strictObject({ head_dim: z.int().min(2), inverse: z.boolean() }),
  cost: ({ T, Q }) => ({ flops: 3 * T * Q }),
  dims({ head_dim }, { Q, P }) {
    if (P !== head_dim || Q % P !== 0) {
      throw new RangeError(`rope: table [S,${P}] and x [T,${Q}] do not fit head_dim ${head_dim}`);
    }
    return {};
  },
  reference(inputs, outputs, attributes, { T, Q }) {
    const x = f64(inputs, "x");
    const position = i32(inputs, "position");
    const table = f64(inputs, "table");
    const y = f64(outputs, "y");
    const headDim = num(attributes, "head_dim");
    const half = headDim / 2;
    const sign = attributes.inverse === true ? -1 : 1;
    for (let t = 0; t < T; t++) {
      const row = position[t] * headDim;
      for (let head = t * Q; head < t * Q + Q; head += headDim) {
        for (let i = 0; i < half; i++) {
          const cos = table[row + i];
          const sin = sign * table[row + half + i];
          y[head + i] = x[head + i] * cos - x[head + half + i] * sin;
          y[head + half + i] = x[head + half + i] * cos + x[head + i] * sin;
        }
      }
    }
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined) return;
    const { x, position, table } = g.node.inputs;
    const { y: dx } = apply(g.graph, rope, {
      inputs: { x: dy, position, table },
      attributes: { ...g.node.attributes, inverse: g.node.attributes.inverse !== true },
      phase: "backward",
      layer: g.node.layer,
      name: `d_${x.name}`,
    });
    g.give("x", dx);
  },
});
