/**
 * attention: softmax(q kᵀ · scale) v, causal within documents, query heads in groups over key and value heads.
 *
 * Token i of a document that starts at s attends to s … i. lse[i] = log Σ_j exp(score_ij) lets backward rebuild the
 * probabilities tile by tile (Dao 2023): P = exp(score − lse), delta_i = Σ_d dy y, dS = P ∘ (dy vᵀ − delta) · scale,
 * dq = dS k, dk = dSᵀ q, dv = Pᵀ dy.
 * @module
 */
import { z } from "zod";
import type { Attribute } from "../graph/graph.ts";
import { f64, i32, num } from "./access.ts";
import { apply, type Dims, type Op, op } from "./op.ts";

const attributes = z.strictObject({
  heads: z.int().min(1),
  kv_heads: z.int().min(1),
  head_dim: z.int().min(1),
  scale: z.number().positive(),
  seq_len: z.int().min(1),
});

function headDims(a: Record<string, Attribute>, { Q, K }: Dims): Dims {
  const [heads, kvHeads, headDim] = [num(a, "heads"), num(a, "kv_heads"), num(a, "head_dim")];
  if (Q !== heads * headDim || K !== kvHeads * headDim || heads % kvHeads !== 0) {
    throw new RangeError(
      `attention: q [T,${Q}] and k [T,${K}] do not fit ${heads}/${kvHeads} heads of ${headDim}`,
    );
  }
  return { H: heads };
}

// Pairs are counted for one document a row: T · seq_len / 2.
const pairs = (a: Record<string, Attribute>, T: number) => T * (num(a, "seq_len") + 1) / 2;

/** Attention over the tokens of a document up to one's own. */
export const attention: Op = op(
  "attention",
  "q[T,Q], k[T,K], v[T,K], start[T] -> y[T,Q], lse[T,H]",
  {
    attributes,
    dims: headDims,
    types: { lse: "f32" },
    cost: ({ T, Q }, a) => ({ flops: 4 * pairs(a, T) * Q }),
    reference(inputs, outputs, a, { T, Q, K, H }) {
      const v = f64(inputs, "v");
      const y = f64(outputs, "y");
      const lse = f64(outputs, "lse");
      const headDim = num(a, "head_dim");
      const group = H / num(a, "kv_heads");
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < H; h++) {
          const { first, scores } = scoresOf(inputs, a, { t, h, Q, K, H });
          const max = Math.max(...scores);
          const weights = scores.map((score) => Math.exp(score - max));
          const sum = weights.reduce((total, weight) => total + weight, 0);
          lse[t * H + h] = max + Math.log(sum);
          const kv = Math.floor(h / group) * headDim;
          weights.forEach((weight, j) => {
            for (let d = 0; d < headDim; d++) {
              y[t * Q + h * headDim + d] += weight / sum * v[(first + j) * K + kv + d];
            }
          });
        }
      }
    },
    gradient(g) {
      const dy = g.upstream("y");
      if (dy === undefined) return;
      const { q, k, v, start } = g.node.inputs;
      const { y, lse } = g.node.outputs;
      const { dq, dk, dv } = apply(g.graph, attentionBackward, {
        inputs: { dy, q, k, v, y, lse, start },
        attributes: g.node.attributes,
        phase: "backward",
        layer: g.node.layer,
        name: `d_${q.name}`,
      });
      g.give("q", dq);
      g.give("k", dk);
      g.give("v", dv);
    },
  },
);

/** Gradients of attention. */
export const attentionBackward: Op = op(
  "attention_backward",
  "dy[T,Q], q[T,Q], k[T,K], v[T,K], y[T,Q], lse[T,H], start[T] -> dq[T,Q], dk[T,K], dv[T,K]",
  {
    attributes,
    dims: headDims,
    cost: ({ T, Q }, a) => ({ flops: 10 * pairs(a, T) * Q }),
    reference(inputs, outputs, a, { T, Q, K, H }) {
      const [dy, q, k, v] = ["dy", "q", "k", "v"].map((name) => f64(inputs, name));
      const y = f64(inputs, "y");
      const lse = f64(inputs, "lse");
      const [dq, dk, dv] = ["dq", "dk", "dv"].map((name) => f64(outputs, name));
      const headDim = num(a, "head_dim");
      const scale = num(a, "scale");
      const group = H / num(a, "kv_heads");
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < H; h++) {
          const { first, scores } = scoresOf(inputs, a, { t, h, Q, K, H });
          const at = t * Q + h * headDim;
          let delta = 0;
          for (let d = 0; d < headDim; d++) delta += dy[at + d] * y[at + d];
          scores.forEach((score, j) => {
            const kv = (first + j) * K + Math.floor(h / group) * headDim;
            const p = Math.exp(score - lse[t * H + h]);
            let dp = 0;
            for (let d = 0; d < headDim; d++) dp += dy[at + d] * v[kv + d];
            const ds = p * (dp - delta) * scale;
            for (let d = 0; d < headDim; d++) {
              dv[kv + d] += p * dy[at + d];
              dq[at + d] += ds * k[kv + d];
              dk[kv + d] += ds * q[at + d];
            }
          });
        }
      }
    },
  },
);

interface Position {
  readonly t: number;
  readonly h: number;
  readonly Q: number;
  readonly K: number;
  readonly H: number;
}

function scoresOf(
  inputs: Parameters<Op["reference"]>[0],
  a: Record<string, Attribute>,
  { t, h, Q, K, H }: Position,
): { first: number; scores: number[] } {
  const q = f64(inputs, "q");
  const k = f64(inputs, "k");
  const first = i32(inputs, "start")[t];
  const headDim = num(a, "head_dim");
  const kv = Math.floor(h / (H / num(a, "kv_heads"))) * headDim;
  const scores = Array.from({ length: t - first + 1 }, (_, j) => {
    let dot = 0;
    for (let d = 0; d < headDim; d++) {
      dot += q[t * Q + h * headDim + d] * k[(first + j) * K + kv + d];
    }
    return dot * num(a, "scale");
  });
  return { first, scores };
}
