/**
 * swiglu: y = silu(gate) · up, silu(g) = g σ(g) (Shazeer 2020). silu'(g) = σ(g) (1 + g (1 − σ(g))).
 * @module
 */
import { z } from "zod";
import { f64 } from "./access.ts";
import { apply, type Op, op } from "./op.ts";

const none = z.strictObject({});
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** The gated unit. */
export const swiglu: Op = op("swiglu", "gate[T,F], up[T,F] -> y[T,F]", {
  attributes: none,
  cost: ({ T, F }) => ({ flops: 6 * T * F }),
  reference(inputs, outputs) {
    const gate = f64(inputs, "gate");
    const up = f64(inputs, "up");
    const y = f64(outputs, "y");
    for (let i = 0; i < y.length; i++) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
  },
  gradient(g) {
    const dy = g.upstream("y");
    if (dy === undefined) return;
    const { gate, up } = g.node.inputs;
    const { dgate, dup } = apply(g.graph, swigluBackward, {
      inputs: { dy, gate, up },
      phase: "backward",
      layer: g.node.layer,
      name: `d_${gate.name}`,
    });
    g.give("gate", dgate);
    g.give("up", dup);
  },
});

/** Gradients of swiglu. */
export const swigluBackward: Op = op(
  "swiglu_backward",
  "dy[T,F], gate[T,F], up[T,F] -> dgate[T,F], dup[T,F]",
  {
    attributes: none,
    cost: ({ T, F }) => ({ flops: 12 * T * F }),
    reference(inputs, outputs) {
      const dy = f64(inputs, "dy");
      const gate = f64(inputs, "gate");
      const up = f64(inputs, "up");
      const dgate = f64(outputs, "dgate");
      const dup = f64(outputs, "dup");
      for (let i = 0; i < dy.length; i++) {
        const s = sigmoid(gate[i]);
        dup[i] = dy[i] * gate[i] * s;
        dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
      }
    },
  },
);
