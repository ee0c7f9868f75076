/**
 * The outer half of the description language: what is tuned, how, and with which settings.
 *
 * These functions only build data; src/spec/schema.ts judges it, so that an error can name the field's place.
 * @module
 */
import type {
  AdamwSpec,
  AdaptSpec,
  Architecture,
  FineTuneSpec,
  LionSpec,
  ModelSpec,
  OptimizerSpec,
  ScheduleSpec,
  SgdSpec,
  SpanSpec,
} from "./description.ts";

/** Settings of {@linkcode paca}. */
export interface PacaOptions {
  /** Columns trained of each weight. */
  readonly rank: number;
  /** The update's scale is alpha / rank. */
  readonly alpha: number;
  /** Last parts of the names of adapted linears, as `q_proj`. */
  readonly targets: readonly string[];
  /** Seed of the columns' draw; default 0. */
  readonly seed?: number;
  /** `delta` (default): decay pulls to the pretrained columns. `weight`: the paper's, decay pulls to 0. */
  readonly parametrisation?: "delta" | "weight";
}

/**
 * Partial Connection Adaptation: trains `rank` input columns of each target (ICLR 2025).
 * @param options Rank, alpha, targets, seed
 */
export function paca(options: PacaOptions): AdaptSpec {
  const { targets, seed = 0, parametrisation = "delta", ...rest } = options;
  return { method: "paca", ...rest, targets: [...targets], seed, parametrisation };
}

/**
 * Full fine-tuning: every weight is trained, embeddings and norms included.
 * @param options `seed` of the initial weights where the model has none; default 0
 */
export function full(options: { readonly seed?: number } = {}): AdaptSpec {
  return { method: "full", seed: options.seed ?? 0 };
}

/** Settings of {@linkcode adamw}. */
export interface AdamwOptions {
  /** The highest rate; the schedule scales it. */
  readonly learningRate: number;
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled; default 0. */
  readonly weightDecay?: number;
}

/**
 * AdamW (Loshchilov and Hutter 2019).
 * @param options Learning rate, betas, epsilon, decay
 */
export function adamw(options: AdamwOptions): AdamwSpec {
  const { learningRate, betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0, ...rest } = options;
  const [beta1, beta2] = betas;
  return { kind: "adamw", learningRate, beta1, beta2, epsilon, weightDecay, ...rest };
}

/** Settings of {@linkcode lion}. */
export interface LionOptions {
  /** The highest rate; the schedule scales it. Three to ten times below AdamW's. */
  readonly learningRate: number;
  /** Default [0.9, 0.99]. */
  readonly betas?: readonly [number, number];
  /** Decoupled; default 0. */
  readonly weightDecay?: number;
}

/**
 * Lion (Chen et al. 2023): every parameter moves by the learning rate, in the direction of an interpolated momentum.
 * @param options Learning rate, betas, decay
 */
export function lion(options: LionOptions): LionSpec {
  const { learningRate, betas = [0.9, 0.99], weightDecay = 0, ...rest } = options;
  const [beta1, beta2] = betas;
  return { kind: "lion", learningRate, beta1, beta2, weightDecay, ...rest };
}

/** Settings of {@linkcode sgd}. */
export interface SgdOptions {
  /** The highest rate; the schedule scales it. */
  readonly learningRate: number;
  /** Share of the momentum kept a step; default 0.9, 0 for none. */
  readonly momentum?: number;
  /** Nesterov's look ahead; default false. */
  readonly nesterov?: boolean;
  /** Decoupled, as of the other optimisers; default 0. */
  readonly weightDecay?: number;
}

/**
 * Gradient descent with momentum.
 * @param options Learning rate, momentum, decay
 */
export function sgd(options: SgdOptions): SgdSpec {
  const { learningRate, momentum = 0.9, nesterov = false, weightDecay = 0, ...rest } = options;
  return { kind: "sgd", learningRate, momentum, nesterov, weightDecay, ...rest };
}

/** A stretch of a run: a share of all its steps below or equal 1, or so many steps, or so many passes over the data. */
export type Span =
  | number
  | { readonly steps: number }
  | { readonly epochs: number };

/** Settings of {@linkcode cosine} and {@linkcode linearDecay}. */
export interface FallingOptions {
  /** Steps with a rising learning rate: a share of all, `{ steps }` or `{ epochs }`; default 0. */
  readonly warmup?: Span;
  /** Share of the learning rate left at the end; default 0. */
  readonly floor?: number;
}

/** Settings of {@linkcode wsd}. */
export interface WsdOptions extends FallingOptions {
  /** Steps at the end in which the rate falls: a share of all, `{ steps }` or `{ epochs }`; default 0.2. */
  readonly decay?: Span;
}

/**
 * Half a cosine from the full learning rate down, after a linear warm-up.
 * @param options Warm-up, floor
 */
export function cosine(options: FallingOptions = {}): ScheduleSpec {
  const { warmup = 0, floor = 0, ...rest } = options;
  return { kind: "cosine", warmup: spanOf(warmup), floor, ...rest };
}

/**
 * A line from the full learning rate down, after a linear warm-up.
 * @param options Warm-up, floor
 */
export function linearDecay(options: FallingOptions = {}): ScheduleSpec {
  const { warmup = 0, floor = 0, ...rest } = options;
  return { kind: "linear", warmup: spanOf(warmup), floor, ...rest };
}

/**
 * Warm-up, stable, decay: the full learning rate up to a line down at the very end.
 * @param options Warm-up, decay, floor
 */
export function wsd(options: WsdOptions = {}): ScheduleSpec {
  const { warmup = 0, floor = 0, decay = 0.2, ...rest } = options;
  return { kind: "wsd", warmup: spanOf(warmup), floor, decay: spanOf(decay), ...rest };
}

function spanOf(span: Span): SpanSpec {
  return typeof span === "number" ? span : { ...span };
}

/**
 * A constant learning rate, after a linear warm-up.
 * @param options Warm-up
 */
export function constant(options: { readonly warmup?: Span } = {}): ScheduleSpec {
  const { warmup = 0, ...rest } = options;
  return { kind: "constant", warmup: spanOf(warmup), floor: 1, ...rest };
}

/**
 * A model in Hugging Face's layout.
 * @param source A hub id, or a folder with config.json and safetensors
 */
export function fromPretrained(source: string): ModelSpec {
  return { kind: "pretrained", source };
}

/** Settings of training. */
export interface TrainOptions {
  /** Rows a micro-batch. */
  readonly batch: number;
  /** Tokens a row. */
  readonly seqLen: number;
  /** Made by {@linkcode adamw}, {@linkcode lion} or {@linkcode sgd}. */
  readonly optimizer: OptimizerSpec;
  /** Default constant(). */
  readonly schedule?: ScheduleSpec;
  /** Type of frozen weights and kept activations; default f32. With f32 nothing is rounded on its way into a product. */
  readonly storage?: "f32" | "bf16";
  /**
   * Type of frozen weights where it is another one. A checkpoint in bf16 gives the same bits with `storage: "f32", weights: "bf16"` as
   * with float32 weights, in half their memory.
   */
  readonly weights?: "f32" | "bf16";
  /** Micro-batches a step; default 1. */
  readonly accumulate?: number;
  /** Global norm that gradients are clipped to; default 1, 0 for none. */
  readonly maxGradNorm?: number;
  /** 0 keeps what backward reads; 1 rebuilds SwiGLU's output; 2 also the norms'. Default 0. */
  readonly recompute?: 0 | 1 | 2;
  /** Bytes of activations kept for backward at most; what is beyond is rebuilt, the cheapest first. Default: no limit. */
  readonly maxKeptBytes?: number;
}

/** What {@linkcode fineTune} takes. */
export interface FineTuneOptions {
  /** Name of the build's folder. */
  readonly name: string;
  /** {@linkcode fromPretrained}, or an architecture written out. */
  readonly model: ModelSpec | Architecture;
  /** Made by {@linkcode paca} or {@linkcode full}. */
  readonly adapt: AdaptSpec;
  /** Batch, optimiser, schedule and the like. */
  readonly train: TrainOptions;
  /** Folder with weights and tokenizer of a written-out model, relative to the description. */
  readonly folder?: string;
}

/**
 * A model description: the default export of a spec file.
 * @param options Name, model, method and settings
 */
export function fineTune(options: FineTuneOptions): FineTuneSpec {
  const { model, train, folder = "", ...rest } = options;
  const { schedule = constant(), storage = "f32", accumulate = 1, maxGradNorm = 1, ...more } =
    train;
  return {
    ...rest,
    model: "kind" in model ? model : { kind: "architecture", architecture: model, folder },
    train: { recompute: 0, ...more, schedule, storage, accumulate, maxGradNorm },
  };
}
