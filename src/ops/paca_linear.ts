/**
 * paca_linear: y = x Weᵀ + bias, We = W with We[:, index] += scale · delta (PaCA, ICLR 2025, eq. 3).
 *
 * Backward reads x_p = x[:, index] [T, r] and W: this is where PaCA saves the memory that LoRA spends on x.
 * dx = dy We; ddelta = scale · dyᵀ x_p. The base W is never written.
 * @module
 */
import { z } from "zod";
import type { Attribute } from "../graph/graph.ts";
import { f64, i32, maybe, num } from "./access.ts";
import { apply, type Dims, type Op, op, type Operands } from "./op.ts";

const attributes = z.strictObject({ scale: z.number().positive() });

/** A linear whose columns `index` are trained. */
export const pacaLinear: Op = op(
  "paca_linear",
  "x[T,K], weight[O,K], bias?[O], delta[O,R], index[R] -> y[T,O], x_p[T,R]",
  {
    attributes,
    cost: ({ T, K, O }) => ({ flops: 2 * T * K * O }),
    reference(inputs, outputs, attributes, dims) {
      const { T, K, O, R } = dims;
      const x = f64(inputs, "x");
      const weight = effectiveWeight(inputs, attributes, dims);
      const index = i32(inputs, "index");
      const bias = maybe(inputs, "bias");
      const y = f64(outputs, "y");
      const gathered = f64(outputs, "x_p");
      for (let t = 0; t < T; t++) {
        for (let j = 0; j < R; j++) gathered[t * R + j] = x[t * K + index[j]];
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
      const { x, weight, delta, index } = g.node.inputs;
      const { x_p } = g.node.outputs;
      const scale = num(g.node.attributes, "scale");
      const at = {
        attributes: { scale },
        phase: "backward",
        layer: g.node.layer,
        name: `d_${x.name}`,
      } as const;
      const into = { ddelta: g.parameterGradient("delta") };
      apply(g.graph, pacaLinearBackwardDelta, { inputs: { dy, x_p }, ...at, into });
      if (g.wanted("x")) {
        const inputs = { dy, weight, delta, index };
        g.give("x", apply(g.graph, pacaLinearBackwardInput, { inputs, ...at }).dx);
      }
    },
  },
);

/** dx = dy We. */
export const pacaLinearBackwardInput: Op = op(
  "paca_linear_backward_input",
  "dy[T,O], weight[O,K], delta[O,R], index[R] -> dx[T,K]",
  {
    attributes,
    cost: ({ T, K, O }) => ({ flops: 2 * T * K * O }),
    reference(inputs, outputs, attributes, dims) {
      const { T, K, O } = dims;
      const dy = f64(inputs, "dy");
      const weight = effectiveWeight(inputs, attributes, dims);
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

/** ddelta += scale · dyᵀ x_p. */
export const pacaLinearBackwardDelta: Op = op(
  "paca_linear_backward_delta",
  "dy[T,O], x_p[T,R] -> ddelta[O,R]",
  {
    attributes,
    cost: ({ T, O, R }) => ({ flops: 2 * T * O * R }),
    reference(inputs, outputs, attributes, { T, O, R }) {
      const dy = f64(inputs, "dy");
      const gathered = f64(inputs, "x_p");
      const ddelta = f64(outputs, "ddelta");
      const scale = num(attributes, "scale");
      for (let t = 0; t < T; t++) {
        for (let o = 0; o < O; o++) {
          const d = scale * dy[t * O + o];
          for (let j = 0; j < R; j++) ddelta[o * R + j] += d * gathered[t * R + j];
        }
      }
    },
  },
);

function effectiveWeight(
  inputs: Operands,
  attributes: Record<string, Attribute>,
  { K, O, R }: Dims,
): Float64Array {
  const weight = f64(inputs, "weight").slice();
  const delta = f64(inputs, "delta");
  const index = i32(inputs, "index");
  const scale = num(attributes, "scale");
  for (let o = 0; o < O; o++) {
    for (let j = 0; j < R; j++) weight[o * K + index[j]] += scale * delta[o * R + j];
  }
  return weight;
}
