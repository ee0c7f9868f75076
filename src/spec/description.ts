/**
 * The model description as types: what a spec file's default export is. src/spec/schema.ts checks values against them.
 * @module
 */

/** A model description. */
export interface FineTuneSpec {
  /** Name of the build's folder: a-z, 0-9, - and _, at most 63 characters. */
  name: string;
  /** What is tuned. */
  model: ModelSpec;
  /** How its linears are adapted. */
  adapt: AdaptSpec;
  /** Batch, optimiser, schedule and the like. */
  train: TrainSpec;
}

/** Where the model comes from: a hub id or folder in Hugging Face's layout, or an architecture written out. */
export type ModelSpec =
  | { kind: "pretrained"; source: string }
  /** `folder` holds tokenizer and weights, relative to the description; "" where there is none. */
  | { kind: "architecture"; architecture: Architecture; folder: string };

/** How the model is adapted: some columns of the linears in `targets`, or everything. */
export type AdaptSpec =
  | {
    method: "paca";
    rank: number;
    alpha: number;
    targets: string[];
    seed: number;
    parametrisation: "delta" | "weight";
  }
  | { method: "full"; seed: number };

/** How the model is trained. */
export interface TrainSpec {
  /** Rows of a micro-batch. */
  batch: number;
  /** Tokens of a row. */
  seqLen: number;
  /** The optimiser's settings. */
  optimizer: OptimizerSpec;
  /** The learning rate's course. */
  schedule: ScheduleSpec;
  /** Type of frozen weights and of activations kept for backward. With f32 nothing is rounded on its way into a product. */
  storage: "f32" | "bf16";
  /** Type of frozen weights where it is another one. */
  weights?: "f32" | "bf16" | undefined;
  /** Micro-batches a step. */
  accumulate: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  maxGradNorm: number;
  /** 0 keeps what backward reads; 1 rebuilds SwiGLU's output; 2 also the norms'. */
  recompute: 0 | 1 | 2;
  /** Bytes of activations kept for backward at most; what is beyond is rebuilt, the cheapest first. Absent: no limit. */
  maxKeptBytes?: number | undefined;
}

/** How gradients change parameters. */
export type OptimizerSpec = AdamwSpec | LionSpec | SgdSpec;

/** AdamW (Loshchilov and Hutter 2019). */
export interface AdamwSpec {
  /** Which optimiser this is. */
  kind: "adamw";
  /** The highest rate of the schedule. */
  learningRate: number;
  /** Share of the first moment kept a step. */
  beta1: number;
  /** Share of the second moment kept a step. */
  beta2: number;
  /** What is added to the second moment's root. */
  epsilon: number;
  /** Decoupled decay, scaled by the learning rate. */
  weightDecay: number;
}

/** Lion (Chen et al. 2023): the sign of an interpolated momentum. */
export interface LionSpec {
  /** Which optimiser this is. */
  kind: "lion";
  /** The highest rate of the schedule; three to ten times below AdamW's. */
  learningRate: number;
  /** Share of the moment in what is stepped by. */
  beta1: number;
  /** Share of the moment kept a step. */
  beta2: number;
  /** Decoupled decay, scaled by the learning rate. */
  weightDecay: number;
}

/** Gradient descent with momentum. */
export interface SgdSpec {
  /** Which optimiser this is. */
  kind: "sgd";
  /** The highest rate of the schedule. */
  learningRate: number;
  /** Share of the moment kept a step; 0 for none. */
  momentum: number;
  /** Whether the gradient is taken to be where the moment leads. */
  nesterov: boolean;
  /** Decoupled decay, scaled by the learning rate. */
  weightDecay: number;
}

/** A stretch of a run: a share of all its steps from 0 to 1, or so many steps, or so many passes over the data. */
export type SpanSpec = number | { steps: number } | { epochs: number };

/** The learning rate's course over a run. */
export interface ScheduleSpec {
  /** Shape behind the warm-up. */
  kind: "constant" | "linear" | "cosine" | "wsd";
  /** Steps with a rising rate. */
  warmup: SpanSpec;
  /** Share of the learning rate that is left at the end. */
  floor: number;
  /** wsd: steps at the end in which the rate falls. */
  decay?: SpanSpec | undefined;
}

/** How rotary frequencies are stretched, as Hugging Face's rope_parameters say it. */
export type RopeScalingSpec =
  | { type: "default" }
  | { type: "linear"; factor: number }
  | {
    type: "llama3";
    factor: number;
    lowFreqFactor: number;
    highFreqFactor: number;
    originalMaxPositionEmbeddings: number;
  };

/** A written-out architecture: token ids in, hidden states out, and the head that predicts. */
export interface Architecture {
  /** Token ids, and rows of the head's weight. */
  vocabSize: number;
  /** Features of the hidden states. */
  width: number;
  /** In order. */
  steps: (Repeat | Step)[];
  /** Number of the value that the head reads. */
  result: number;
  /** Module whose weight [vocab, width] makes logits; the embedding's where the head is tied. */
  head: string;
}

/** A block of steps that repeats, each time with weights of its own. */
export interface Repeat {
  /** Tells it from a {@linkcode Step}. */
  kind: "repeat";
  /** Prefix of its modules' names, before the number of the repetition. */
  name: string;
  /** Repetitions. */
  count: number;
  /** Number of the value that goes into the first. */
  x: number;
  /** Number of a repetition's input among the block's own values. */
  bodyIn: number;
  /** Number of a repetition's output among the block's own values. */
  bodyOut: number;
  /** The block. */
  body: Step[];
  /** Number of the value that comes out of the last. */
  out: number;
}

/** A step of an architecture. Values are numbered; every value is [tokens, width]. */
export type Step =
  | { kind: "embed"; name: string; out: number; vocab: number; width: number }
  | {
    kind: "linear";
    name: string;
    x: number;
    out: number;
    inFeatures: number;
    outFeatures: number;
    bias: boolean;
  }
  | { kind: "rms_norm"; name: string; x: number; out: number; width: number; eps: number }
  | {
    kind: "rope";
    x: number;
    out: number;
    width: number;
    headDim: number;
    theta: number;
    scaling: RopeScalingSpec;
  }
  | {
    kind: "attention";
    q: number;
    k: number;
    v: number;
    out: number;
    heads: number;
    kvHeads: number;
    headDim: number;
  }
  | { kind: "swiglu"; gate: number; up: number; out: number; width: number }
  | { kind: "add"; a: number; b: number; out: number; width: number };
