/**
 * Cases whose widths are multiples of 8, as a GPU's 16-byte accesses want them; tokens, ranks and vocabularies are ragged.
 * @module
 */
import { type Draft, type Extents, heads, makeCase, type OpCase, optimizerDrafts } from "./mod.ts";

const GEMM: readonly Extents[] = [
  { T: 1, K: 8, O: 8, R: 8 },
  { T: 100, K: 72, O: 136, R: 8 },
  { T: 131, K: 264, O: 64, R: 16 },
  { T: 77, K: 128, O: 200, R: 40 },
];

const ROWS: readonly (readonly [number, number])[] = [[1, 8], [37, 72], [130, 264]];

const adamw = { op: "adamw", attributes: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } };

const DRAFTS: readonly Draft[] = [
  { op: "documents", extents: { T: 34 }, attributes: { seq_len: 17 } },
  { op: "documents", extents: { T: 3 }, attributes: { seq_len: 1 } },
  ...ROWS.flatMap(([T, D]): Draft[] => [
    { op: "embed", extents: { T, D, V: 7 } },
    { op: "embed_backward", extents: { T, D, V: 7 }, attributes: { vocab: 7 } },
    { op: "rms_norm", extents: { T, D }, attributes: { eps: 1e-5 } },
    { op: "rms_norm_backward", extents: { T, D } },
    { op: "rms_norm_backward", extents: { T, D }, outputs: ["dweight"] },
    { op: "swiglu", extents: { T, F: D } },
    { op: "swiglu_backward", extents: { T, F: D } },
    { op: "add", extents: { T, D } },
    { op: "lm_head_loss", extents: { T, D, V: 267 } },
    { op: "lm_head_loss", extents: { T, D, V: 35 }, outputs: ["dweight"] },
    { op: "lm_head_logits", extents: { T, D, V: 67, C: 3 } },
    { op: "mean_loss", extents: { T } },
    { op: "global_norm", extents: { P: T * D } },
    { ...adamw, extents: { P: T * D } },
    { ...adamw, extents: { P: T * D }, omit: ["anchor"] },
  ]),
  ...GEMM.flatMap((extents): Draft[] => [
    { op: "linear", extents },
    { op: "linear", extents, omit: ["bias"] },
    { op: "linear_backward_input", extents },
    { op: "linear_backward_weight", extents },
    { op: "linear_backward_bias", extents },
    { op: "paca_linear", extents, attributes: { scale: 2 } },
    { op: "paca_linear", extents, attributes: { scale: 0.5 }, omit: ["bias"] },
    { op: "paca_linear_backward_input", extents, attributes: { scale: 2 } },
    { op: "paca_linear_backward_delta", extents, attributes: { scale: 2 } },
  ]),
  ...([[17, 12, 2, 65], [34, 64, 1, 17]] as const).map(([T, P, n, S]): Draft => ({
    op: "rope",
    extents: { T, P, Q: P * n, S },
    attributes: { head_dim: P, inverse: n === 2 },
  })),
  ...([
    [1, 1, 1, 8, 1],
    [34, 4, 2, 12, 17],
    [126, 3, 1, 64, 63],
    [130, 2, 2, 32, 65],
    [129, 4, 1, 80, 129],
    [260, 2, 1, 128, 130],
  ] as const).flatMap(([T, h, kv, d, seq]): Draft[] => {
    const { attributes, widths } = heads(h, kv, d, seq);
    return ["attention", "attention_backward"].map((op) => ({
      op,
      extents: { T, ...widths },
      attributes,
    }));
  }),
  ...ROWS.flatMap(([T, D]) => optimizerDrafts(T * D)),
];

/** All of them. */
export const WIDE_CASES: readonly OpCase[] = DRAFTS.map((draft, i) => makeCase(draft, i + 1));
