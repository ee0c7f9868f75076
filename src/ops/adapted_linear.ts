/**
 * adapted_linear: y = x Wᵀ + scale · x[:, index] deltaᵀ + bias: a linear whose trained columns are switched on and off.
 *
 * It is paca_linear (PaCA, ICLR 2025, eq. 3) with the scale as an operand: at 0 it computes with W alone, to the bit, whatever delta
 * holds. It is not differentiable: it writes text.
 * @module
 */
import { z } from "zod";
import { f64, i32, maybe } from "./access.ts";
import { type Op, op } from "./op.ts";

/** A linear with columns that may be switched off. */
export const adaptedLinear: Op = op(
  "adapted_linear",
  "x[T,K], weight[O,K], bias?[O], delta[O,R], index[R], scale[1] -> y[T,O]",
  {
    attributes: z.strictObject({}),
    cost: ({ T, K, O, R }) => ({ flops: 2 * T * (K + R) * O }),
    reference(inputs, outputs, _attributes, { T, K, O, R }) {
      const x = f64(inputs, "x");
      const weight = f64(inputs, "weight");
      const delta = f64(inputs, "delta");
      const index = i32(inputs, "index");
      const scale = f64(inputs, "scale")[0];
      const bias = maybe(inputs, "bias");
      const y = f64(outputs, "y");
      for (let t = 0; t < T; t++) {
        for (let o = 0; o < O; o++) {
          let sum = bias === undefined ? 0 : bias[o];
          for (let k = 0; k < K; k++) sum += x[t * K + k] * weight[o * K + k];
          for (let j = 0; scale !== 0 && j < R; j++) {
            sum += scale * x[t * K + index[j]] * delta[o * R + j];
          }
          y[t * O + o] = sum;
        }
      }
    },
  },
);
