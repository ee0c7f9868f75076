/**
 * Op cases as data: shapes, attributes and inputs on which every target and finite differences are judged.
 * Extents are ragged on purpose: 1, 2, 3, 17, 63, 65, 129.
 * @module
 */
import type { Attribute } from "../../src/graph/graph.ts";
import { bindDims, type Operands, shapeOf, type Values } from "../../src/ops/op.ts";
import { opOf, OPS } from "../../src/ops/mod.ts";

/** One application of an op. */
export interface OpCase {
  readonly name: string;
  readonly op: string;
  readonly attributes: Record<string, Attribute>;
  readonly inputs: Operands;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Optional outputs that the case asks for. */
  readonly outputs: readonly string[];
}

/** A seeded generator of numbers in [0, 1) (mulberry32), for test data only. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Dimensions by name. */
export type Extents = Readonly<Record<string, number>>;

/** What {@linkcode makeCase} makes a case of. */
export interface Draft {
  readonly op: string;
  readonly extents: Extents;
  readonly attributes?: Record<string, Attribute>;
  readonly omit?: readonly string[];
  readonly outputs?: readonly string[];
  /** Chance that a token begins a document. */
  readonly restarts?: number;
}

/** Distinct sorted columns, as an adapter has them. */
function columns(random: () => number, count: number, extent: number): Int32Array {
  const all = Array.from({ length: extent }, (_, i) => ({ i, key: random() }));
  const drawn = all.toSorted((a, b) => a.key - b.key).slice(0, count);
  return Int32Array.from(drawn, ({ i }) => i).sort();
}

/** Document starts of rows of `seq_len` tokens. */
function starts(random: () => number, tokens: number, draft: Draft): Int32Array {
  const { attributes = {}, restarts = 0.125 } = draft;
  const start = new Int32Array(tokens);
  for (let i = 0; i < tokens; i++) {
    start[i] = i % Number(attributes.seq_len) === 0 || random() < restarts ? i : start[i - 1];
  }
  return start;
}

function fill(name: string, shape: readonly number[], draft: Draft, random: () => number): Values {
  const count = shape.reduce((a, b) => a * b, 1);
  const { extents, attributes = {} } = draft;
  const below = (limit: number) => Int32Array.from({ length: count }, () => random() * limit);
  switch (name) {
    case "ids":
      return below(extents.V ?? Number(attributes.vocab));
    case "index":
      return columns(random, count, extents.K);
    case "rows":
      return below(extents.T);
    case "position":
      // Places that are written must differ.
      return draft.op === "cache_append" ? columns(random, count, extents.S) : below(extents.S);
    case "count":
      return Int32Array.of(Math.ceil(extents.T / 2));
    case "start":
      return starts(random, count, draft);
    case "segment_ids":
      return Int32Array.from({ length: count }, (_, i) => i % 11 > 8 ? -1 : Math.floor(i / 5) % 3);
    case "labels":
    case "target":
      return Int32Array.from(
        { length: count },
        () => random() < 0.3 ? -100 : Math.floor(random() * (extents.V ?? 50)),
      );
    case "inverse_rms":
    case "moment2":
    case "norm":
      return Float64Array.from({ length: count }, () => Math.fround(0.1 + random()));
    case "loss_scale":
      return Float64Array.of(0.125);
    case "hyper":
      return Float64Array.of(1e-2, 0.1, 0.5, 0.25, 0.0625);
    default:
      return Float64Array.from({ length: count }, () => Math.fround(2 * random() - 1));
  }
}

/**
 * A case with values of a seed.
 * @param draft Op, extents, attributes, what is left out
 * @param seed Any whole number
 */
export function makeCase(draft: Draft, seed: number): OpCase {
  const { op, extents, attributes = {}, omit = [], outputs = [] } = draft;
  const random = seeded(seed);
  const shapes: Record<string, readonly number[]> = {};
  const inputs: Record<string, Values> = {};
  for (const operand of opOf(op).inputs) {
    if (omit.includes(operand.name)) continue;
    shapes[operand.name] = shapeOf(operand, extents);
    inputs[operand.name] = fill(operand.name, shapes[operand.name], draft, random);
  }
  if (op === "attention_backward") attend(inputs, shapes, attributes);
  const size = Object.entries(extents).map(([name, extent]) => `${name}${extent}`).join(" ");
  const tail = [...omit.map((name) => `no ${name}`), ...outputs.map((name) => `with ${name}`)];
  const name = [op, size, ...tail, `#${seed}`].join(" ");
  return { name, op, attributes, inputs, shapes, outputs };
}

/** Backward's y and lse must be what forward makes. */
function attend(
  inputs: Record<string, Values>,
  shapes: Record<string, readonly number[]>,
  attributes: Record<string, Attribute>,
): void {
  const { q, k, v, start } = inputs;
  const forward = opOf("attention");
  const { q: qs, k: ks, v: vs, start: ss } = shapes;
  const dims = bindDims(forward, { q: qs, k: ks, v: vs, start: ss }, attributes);
  inputs.y.fill(0);
  inputs.lse.fill(0);
  forward.reference({ q, k, v, start }, { y: inputs.y, lse: inputs.lse }, attributes, dims);
  inputs.y.forEach((value, i) => inputs.y[i] = Math.fround(value));
  inputs.lse.forEach((value, i) => inputs.lse[i] = Math.fround(value));
}

/** Attributes and widths of attention. */
export const heads = (heads: number, kv_heads: number, head_dim: number, seq_len: number) => ({
  attributes: { heads, kv_heads, head_dim, scale: 1 / Math.sqrt(head_dim), seq_len },
  widths: { Q: heads * head_dim, K: kv_heads * head_dim, H: heads },
});

/** Optimisers with one moment, over so many parameters. */
export function optimizerDrafts(P: number): Draft[] {
  const lion = { op: "lion", attributes: { beta1: 0.9, beta2: 0.98 }, extents: { P } };
  const sgd = (momentum: number, nesterov: boolean) => ({
    op: "sgd",
    attributes: { momentum, nesterov },
    extents: { P },
  });
  return [
    lion,
    { ...lion, omit: ["anchor"] },
    sgd(0.9, false),
    { ...sgd(0.75, true), omit: ["anchor"] },
    { ...sgd(0, false), omit: ["anchor"] },
  ];
}

function manyRows(op: string): Draft {
  const { attributes, widths } = heads(6, 3, 32, 9);
  return { op, extents: { T: 6 * 9, ...widths }, attributes, restarts: 0.05 };
}

const SHARP = { ...heads(2, 1, 12, 130).attributes, scale: 60 };
const GEMM: readonly Extents[] = [
  { T: 1, K: 1, O: 1, R: 1 },
  { T: 2, K: 17, O: 3, R: 2 },
  { T: 3, K: 63, O: 65, R: 3 },
  { T: 17, K: 129, O: 33, R: 8 },
  { T: 65, K: 64, O: 129, R: 16 },
  { T: 63, K: 65, O: 17, R: 17 },
];
const ROWS: readonly (readonly [number, number])[] = [[1, 1], [2, 17], [3, 63], [17, 65], [
  65,
  129,
]];

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
    { op: "lm_head_loss", extents: { T, D, V: 67 } },
    { op: "lm_head_loss", extents: { T, D, V: 5 }, outputs: ["dweight"] },
    { op: "lm_head_logits", extents: { T, D, V: 67, C: 3 } },
    { op: "mean_loss", extents: { T } },
    { op: "global_norm", extents: { P: T * D } },
    {
      op: "adamw",
      extents: { P: T * D },
      attributes: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
    },
    {
      op: "adamw",
      extents: { P: T * D },
      attributes: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
      omit: ["anchor"],
    },
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
  ...([[1, 2, 1, 4], [17, 2, 3, 17], [65, 12, 2, 65], [34, 64, 1, 17]] as const)
    .map(([T, P, n, S]): Draft => ({
      op: "rope",
      extents: { T, P, Q: P * n, S },
      attributes: { head_dim: P, inverse: n === 2 },
    })),
  ...([
    [1, 1, 1, 4, 1],
    [34, 4, 2, 12, 17],
    [126, 3, 1, 64, 63],
    [130, 2, 2, 32, 65],
    [129, 4, 1, 80, 129],
    [6, 2, 1, 128, 3],
    [66, 2, 1, 96, 33, 0.02], // documents of whole rows and more than one panel
    [131, 3, 3, 9, 131, 0], // one document over several tiles of keys, odd heads
    [202, 4, 2, 5, 101, 0.01],
  ] as const).flatMap(([T, h, kv, d, seq, restarts = 0.125]): Draft[] => {
    const { attributes, widths } = heads(h, kv, d, seq);
    return ["attention", "attention_backward"].map((op) => ({
      op,
      extents: { T, ...widths },
      attributes,
      restarts,
    }));
  }),
  ...GEMM.flatMap((extents): Draft[] => [
    { op: "adapted_linear", extents },
    { op: "adapted_linear", extents: { ...extents, T: 1 }, omit: ["bias"] },
    { op: "linear", extents: { ...extents, T: 1 } },
  ]),
  // Tokens, heads, groups, their width; caches below, at and above whole blocks of scores.
  ...([
    [1, 1, 1, 4, 5],
    [3, 4, 2, 12, 63],
    [1, 3, 1, 64, 130],
    [64, 9, 3, 64, 200],
    [2, 8, 4, 5, 129],
    [5, 2, 1, 80, 64],
  ] as const).flatMap(([T, h, kv, d, S]): Draft[] => {
    const { attributes: { seq_len: _, ...attributes }, widths } = heads(h, kv, d, S);
    const extents = { T, S, ...widths };
    return [
      { op: "attention_cached", extents, attributes },
      { op: "cache_append", extents },
      { op: "cache_append", extents, omit: ["count"] },
    ];
  }),
  // Probabilities from 0 to 1: most scores fall below what 2^x can hold.
  { op: "attention", extents: { T: 130, Q: 24, K: 12, H: 2 }, attributes: SHARP, restarts: 0.01 },
  ...ROWS.flatMap(([T, D]) => optimizerDrafts(T * D)),
  // So many rows and heads that on the cpu each is one thread's.
  manyRows("attention"),
  manyRows("attention_backward"),
];

/** All cases; every op has one. */
export const CASES: readonly OpCase[] = DRAFTS.map((draft, i) => makeCase(draft, i + 1));

const missing = OPS.filter(({ name }) => !CASES.some(({ op }) => op === name));
if (missing.length > 0) {
  throw new Error(`tests/cases has no case of ${missing.map(({ name }) => name).join(", ")}`);
}
