/**
 * linear: y = x Wᵀ + bias, W [out, in]. Backward reads W for dx; x only where W is trained.
 * @module
 */
import { z } from "zod";
import { f64, maybe } from "./access.ts";
import { apply, type Op, op } from "./op.ts";

const none = z.strictObject({});

/** y[t,o] = Σ_k x[t,k] weight[o,k] + bias[o]. */
export const linear: Op = op("linear", "x[T,K], weight[O,K], bias?[O] -> y[T,O]", {
  attributes: none,
  cost: ({ T, K, O }) => ({ flops: 2 * T * K * O }),
  reference(inputs, outputs, _attributes, { T, K, O }) {
    const x = f64(inputs, "x");
    const weight = f64(inputs, "weight");
    const bias = maybe(inputs, "bias");
    const y = f64(outputs, "y");
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) {
        let sum = bias === undefined ? 0 : bias[o];
        for (let k = 0; k < K; k++) sum += x[t * K + k] * weight[o * K + k];
        y[t * O + o] = sum;
      }
    }
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined) return;
    const { x, weight } = g.node.inputs;
    const at = { phase: "backward", layer: g.node.layer, name: `d_${x.name}` } as const;
    if (g.wanted("weight")) {
      const into = { dweight: g.parameterGradient("weight") };
      apply(g.graph, linearBackwardWeight, { inputs: { dy, x }, ...at, into });
    }
    if (g.node.inputs.bias !== undefined && g.wanted("bias")) {
      const into = { dbias: g.parameterGradient("bias") };
      apply(g.graph, linearBackwardBias, { inputs: { dy }, ...at, into });
    }
    if (g.wanted("x")) {
      g.give("x", apply(g.graph, linearBackwardInput, { inputs: { dy, weight }, ...at }).dx);
    }
  },
});

/** dx = dy W. */
export const linearBackwardInput: Op = op(
  "linear_backward_input",
  "dy[T,O], weight[O,K] -> dx[T,K]",
  {
    attributes: none,
    cost: ({ T, K, O }) => ({ flops: 2 * T * K * O }),
    reference(inputs, outputs, _attributes, { T, K, O }) {
      const dy = f64(inputs, "dy");
      const weight = f64(inputs, "weight");
      const dx = f64(outputs, "dx");
      for (let t = 0; t < T; t++) {
        for (let o = 0; o < O; o++) {
          const d = dy[t * O + o];
          for (let k = 0; k < K; k++) dx[t * K + k] += d * weight[o * K + k];
        }
      }
    },
  },
);

/** dweight += dyᵀ x. */
export const linearBackwardWeight: Op = op(
  "linear_backward_weight",
  "dy[T,O], x[T,K] -> dweight[O,K]",
  {
    attributes: none,
    cost: ({ T, K, O }) => ({ flops: 2 * T * K * O }),
    reference(inputs, outputs, _attributes, { T, K, O }) {
      const dy = f64(inputs, "dy");
      const x = f64(inputs, "x");
      const dweight = f64(outputs, "dweight");
      for (let t = 0; t < T; t++) {
        for (let o = 0; o < O; o++) {
          const d = dy[t * O + o];
          for (let k = 0; k < K; k++) dweight[o * K + k] += d * x[t * K + k];
        }
      }
    },
  },
);

/** dbias += Σ_t dy[t]. */
export const linearBackwardBias: Op = op("linear_backward_bias", "dy[T,O] -> dbias[O]", {
  attributes: none,
  cost: ({ T, O }) => ({ flops: T * O }),
  reference(inputs, outputs, _attributes, { T, O }) {
    const dy = f64(inputs, "dy");
    const dbias = f64(outputs, "dbias");
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) dbias[o] += dy[t * O + o];
    }
  },
});
