/**
 * The inner half of the description language: builders that write out an architecture.
 *
 * A builder records a step and returns the value it makes. Every value is [tokens, width]; widths are checked
 * here, so that the error points at the line of the description that is wrong.
 * @module
 */
import type { Architecture, Repeat, RopeScalingSpec, Step } from "./description.ts";

/** A value [tokens, width] of the architecture. */
export interface Value {
  /** Its number among the values of the architecture or block. */
  readonly id: number;
  /** Features of a token. */
  readonly width: number;
}

interface Recorder {
  readonly steps: (Step | Repeat)[];
  next: number;
}

let recorder: Recorder | undefined;

function record(width: number, step: (out: number) => Step | Repeat): Value {
  if (recorder === undefined) throw new RangeError("Builders work inside architecture(…) only");
  const out = recorder.next++;
  recorder.steps.push(step(out));
  return { id: out, width };
}

function recording<T>(run: () => T): { readonly steps: (Step | Repeat)[]; readonly value: T } {
  const outer = recorder;
  const inner: Recorder = { steps: [], next: 1 };
  recorder = inner;
  try {
    return { value: run(), steps: inner.steps };
  } finally {
    recorder = outer;
  }
}

function same(what: string, a: number, b: number): void {
  if (a !== b) throw new RangeError(`${what}: ${a} and ${b} must be equal`);
}

/** Token ids, the input of an architecture. */
export interface Tokens {
  /** Tells it from a {@linkcode Value}, which an embedding has yet to make. */
  readonly tokens: true;
}

/** What an architecture ends with: hidden states and the module that makes logits of them. */
export interface Head {
  /** The last hidden states, [tokens, width]. */
  readonly hidden: Value;
  /** Module whose weight [vocab, width] makes the logits. */
  readonly module: string;
  /** Rows of that weight. */
  readonly vocab: number;
}

/**
 * Writes out an architecture.
 * @param build From token ids to {@linkcode lmHead}
 * @throws {RangeError} Where shapes do not fit
 */
export function architecture(build: (tokens: Tokens) => Head): Architecture {
  const { steps, value } = recording(() => build({ tokens: true }));
  const { hidden, module, vocab } = value;
  return { vocabSize: vocab, width: hidden.width, steps, result: hidden.id, head: module };
}

/**
 * Rows of NAME.weight [vocab, width] by token id.
 * @param name Module name
 * @param options Vocabulary size and width
 */
export function embed(
  name: string,
  _tokens: Tokens,
  options: { readonly vocab: number; readonly width: number },
): Value {
  return record(options.width, (out) => ({ kind: "embed", name, out, ...options }));
}

/**
 * y = x Wᵀ (+ bias), NAME.weight [out, in].
 * @param name Module name
 * @param x Input
 * @param options Output width, and whether there is NAME.bias
 */
export function linear(
  name: string,
  x: Value,
  options: { readonly out: number; readonly bias?: boolean },
): Value {
  const { out: outFeatures, bias = false } = options;
  return record(
    outFeatures,
    (out) => ({ kind: "linear", name, x: x.id, out, inFeatures: x.width, outFeatures, bias }),
  );
}

/**
 * y = x / sqrt(mean(x²) + eps) · NAME.weight (Zhang and Sennrich 2019).
 * @param name Module name
 * @param x Input
 * @param options eps
 */
export function rmsNorm(name: string, x: Value, options: { readonly eps: number }): Value {
  return record(
    x.width,
    (out) => ({ kind: "rms_norm", name, x: x.id, out, width: x.width, eps: options.eps }),
  );
}

/** Settings of {@linkcode rope}. */
export interface RopeOptions {
  /** Features of a head, an even number. */
  readonly headDim: number;
  /** Base of the frequencies; default 10000. */
  readonly theta?: number;
  /** How the frequencies are stretched; default not at all. */
  readonly scaling?: RopeScalingSpec;
}

/**
 * Rotary position embedding of each head of x (Su et al. 2021), halves rotated as in Hugging Face models.
 * @param x Queries or keys [tokens, heads · headDim]
 * @param options Head size, theta, scaling
 */
export function rope(x: Value, options: RopeOptions): Value {
  const { headDim, theta = 10000, scaling = { type: "default" } } = options;
  if (headDim % 2 !== 0) throw new RangeError(`rope: headDim must be even, got ${headDim}`);
  if (x.width % headDim !== 0) {
    throw new RangeError(`rope: width ${x.width} is not a multiple of headDim ${headDim}`);
  }
  return record(
    x.width,
    (out) => ({ kind: "rope", x: x.id, out, width: x.width, headDim, theta, scaling }),
  );
}

/**
 * Causal attention within documents; query heads share key and value heads in groups.
 * @param values Queries, keys, values
 * @param options Numbers of heads, head size
 */
export function attention(
  values: { readonly q: Value; readonly k: Value; readonly v: Value },
  options: { readonly heads: number; readonly kvHeads: number; readonly headDim: number },
): Value {
  const { q, k, v } = values;
  const { heads, kvHeads, headDim } = options;
  same("attention: q's width and heads · headDim", q.width, heads * headDim);
  same("attention: k's width and kvHeads · headDim", k.width, kvHeads * headDim);
  same("attention: v's width and kvHeads · headDim", v.width, kvHeads * headDim);
  if (heads % kvHeads !== 0) {
    throw new RangeError(`attention: heads ${heads} is not a multiple of kvHeads ${kvHeads}`);
  }
  return record(
    q.width,
    (out) => ({
      kind: "attention",
      q: q.id,
      k: k.id,
      v: v.id,
      out,
      heads,
      kvHeads,
      headDim,
    }),
  );
}

/**
 * silu(gate) · up (Shazeer 2020).
 * @param gate The gated half
 * @param up The other
 */
export function swiGlu(gate: Value, up: Value): Value {
  same("swiGlu: widths of gate and up", gate.width, up.width);
  return record(
    gate.width,
    (out) => ({ kind: "swiglu", gate: gate.id, up: up.id, out, width: gate.width }),
  );
}

/**
 * a + b, the residual connection.
 * @param a One value
 * @param b Another of the same width
 */
export function add(a: Value, b: Value): Value {
  same("add: widths", a.width, b.width);
  return record(a.width, (out) => ({ kind: "add", a: a.id, b: b.id, out, width: a.width }));
}

/** Settings of {@linkcode repeat}. */
export interface RepeatOptions {
  /** How many blocks. */
  readonly count: number;
  /** One block; names in it get `NAME.i.` before them. */
  readonly body: (x: Value) => Value;
}

/**
 * `count` blocks one after another, each with weights of its own.
 * @param name Name before the block's number, as `model.layers`
 * @param x Input of the first
 * @param options Count and block
 */
export function repeat(name: string, x: Value, options: RepeatOptions): Value {
  const { steps, value } = recording(() => options.body({ id: 0, width: x.width }));
  same("repeat: widths of the block's input and output", x.width, value.width);
  const body = steps.filter((step): step is Step => step.kind !== "repeat");
  if (body.length !== steps.length) throw new RangeError("repeat: a block cannot hold a repeat");
  return record(x.width, (out) => ({
    kind: "repeat",
    name,
    count: options.count,
    x: x.id,
    bodyIn: 0,
    bodyOut: value.id,
    body,
    out,
  }));
}

/**
 * The end of an architecture: logits = hidden · MODULE.weightᵀ.
 * @param module `lm_head`, or the embedding's name where the head is tied to it
 * @param hidden The last hidden states
 * @param options Vocabulary size
 */
export function lmHead(module: string, hidden: Value, options: { readonly vocab: number }): Head {
  return { hidden, module, vocab: options.vocab };
}
