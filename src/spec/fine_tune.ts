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
  ModelSpec,
  ScheduleSpec,
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

/** Settings of {@linkcode cosine}. */
export interface CosineOptions {
  /** Share of the steps with a rising learning rate; default 0. */
  readonly warmup?: number;
  /** Share of the learning rate left at the end; default 0. */
  readonly floor?: number;
}

/**
 * Half a cosine from the full learning rate down, after a linear warm-up.
 * @param options Warm-up share, floor
 */
export function cosine(options: CosineOptions = {}): ScheduleSpec {
  const { warmup = 0, floor = 0, ...rest } = options;
  return { kind: "cosine", warmup, floor, ...rest };
}

/**
 * A constant learning rate, after a linear warm-up.
 * @param options Warm-up share
 */
export function constant(options: { readonly warmup?: number } = {}): ScheduleSpec {
  const { warmup = 0, ...rest } = options;
  return { kind: "constant", warmup, floor: 1, ...rest };
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
  /** Made by {@linkcode adamw}. */
  readonly optimizer: AdamwSpec;
  /** Default constant(). */
  readonly schedule?: ScheduleSpec;
  /** Type of frozen weights and kept activations; default f32. */
  readonly storage?: "f32" | "bf16";
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
