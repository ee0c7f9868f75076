/**
 * attention_cached: attention of a few tokens of one text over the keys and values of all its tokens so far.
 *
 * cache_append puts keys and values of new tokens at their positions; a token at position p then attends to 0 … p. Keys are kept
 * transposed, [K,S]: scores of neighbouring positions are lanes of one vector, and nothing is summed across a register.
 * Neither is differentiable: they write text.
 * @module
 */
import { z } from "zod";
import { f64, i32, num } from "./access.ts";
import { type Op, op } from "./op.ts";

/**
 * new_keys[:, position[t]] = k[t], new_values[position[t]] = v[t] for t < count[0], or for all; in place. Positions differ.
 */
export const cacheAppend: Op = op(
  "cache_append",
  "k[T,K], v[T,K], position[T], count?[1], keys[K,S], values[S,K] -> new_keys[K,S], new_values[S,K]",
  {
    attributes: z.strictObject({}),
    cost: () => ({ flops: 0 }),
    reference(inputs, outputs, _attributes, { T, K, S }) {
      const k = f64(inputs, "k");
      const v = f64(inputs, "v");
      const position = i32(inputs, "position");
      const keys = f64(outputs, "new_keys");
      const values = f64(outputs, "new_values");
      keys.set(f64(inputs, "keys"));
      values.set(f64(inputs, "values"));
      const count = "count" in inputs ? Math.min(T, i32(inputs, "count")[0]) : T;
      for (let t = 0; t < count; t++) {
        values.set(v.subarray(t * K, t * K + K), position[t] * K);
        for (let c = 0; c < K; c++) keys[c * S + position[t]] = k[t * K + c];
      }
    },
  },
);

/** y[t,h] = Σ_j softmax_j(scale · q[t,h] · keys[h / group, :, j]) values[j, h / group], j = 0 … position[t]. */
export const attentionCached: Op = op(
  "attention_cached",
  "q[T,Q], keys[K,S], values[S,K], position[T] -> y[T,Q]",
  {
    attributes: z.strictObject({
      heads: z.int().min(1),
      kv_heads: z.int().min(1),
      head_dim: z.int().min(1),
      scale: z.number().positive(),
    }),
    dims(a, { Q, K }) {
      const [heads, kvHeads] = [num(a, "heads"), num(a, "kv_heads")];
      const headDim = num(a, "head_dim");
      if (Q !== heads * headDim || K !== kvHeads * headDim || heads % kvHeads !== 0) {
        throw new RangeError(
          `attention_cached: q [T,${Q}] and keys [${K},S] do not fit ${heads}/${kvHeads} heads of ${headDim}`,
        );
      }
      return { H: heads };
    },
    // Half of the cache is full, as it is on the way from the first token to the last.
    cost: ({ T, Q, S }) => ({ flops: 2 * T * Q * S }),
    reference(inputs, outputs, a, { T, Q, K, S, H }) {
      const [q, keys, values] = ["q", "keys", "values"].map((name) => f64(inputs, name));
      const position = i32(inputs, "position");
      const y = f64(outputs, "y");
      const headDim = num(a, "head_dim");
      const group = H / num(a, "kv_heads");
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < H; h++) {
          const at = t * Q + h * headDim;
          const kv = Math.floor(h / group) * headDim;
          const scores = Array.from({ length: position[t] + 1 }, (_, j) => {
            let dot = 0;
            for (let d = 0; d < headDim; d++) dot += q[at + d] * keys[(kv + d) * S + j];
            return dot * num(a, "scale");
          });
          const max = scores.reduce((most, score) => Math.max(most, score), -Infinity);
          const weights = scores.map((score) => Math.exp(score - max));
          const sum = weights.reduce((total, weight) => total + weight, 0);
          weights.forEach((weight, j) => {
            for (let d = 0; d < headDim; d++) y[at + d] += weight / sum * values[j * K + kv + d];
          });
        }
      }
    },
  },
);
