/**
 * What runs a compiled program: the contract between the trainer and each target.
 *
 * The native addon and the reference interpreter both implement {@linkcode Engine}; everything else of the
 * trainer (data, loop, files) is the same on every target.
 * @module
 */

/** Element type of a tensor. */
export type DType = "f32" | "bf16" | "i32";

/** What a tensor is for; see src/graph/graph.ts. */
export type Role =
  | "weight"
  | "parameter"
  | "gradient"
  | "moment"
  | "index"
  | "constant"
  | "input"
  | "output"
  | "activation"
  | "cache";

/** A tensor that has a name outside the program. */
export interface TensorInfo {
  /** `model.layers.0.mlp.down_proj.paca_delta` */
  readonly name: string;
  /** Sizes, the last varying fastest; [] holds one value. */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: DType;
  /** What it is for. */
  readonly role: Role;
}

/** A linear layer with trained columns. */
export interface AdaptedLinear {
  /** `model.layers.0.mlp.down_proj` */
  readonly module: string;
  /** Rows of the weight. */
  readonly outFeatures: number;
  /** Columns of the weight. */
  readonly inFeatures: number;
  /** Names of tensors: the frozen weight [out, in], `MODULE.paca_delta` [out, r], `MODULE.paca_indices` [r]. */
  readonly weight: string;
  /** Tensor of the trained update, [out, r]. */
  readonly delta: string;
  /** Tensor of the trained columns' numbers, [r]. */
  readonly indices: string;
}

/** AdamW's settings from the model description. */
export interface AdamwSettings {
  /** Which optimiser this is. */
  readonly kind: "adamw";
  /** The highest rate of the schedule. */
  readonly learningRate: number;
  /** Share of the first moment kept a step. */
  readonly beta1: number;
  /** Share of the second moment kept a step. */
  readonly beta2: number;
  /** What is added to the second moment's root. */
  readonly epsilon: number;
  /** Decoupled decay, scaled by the learning rate. */
  readonly weightDecay: number;
}

/** Lion's settings from the model description. */
export interface LionSettings {
  /** Which optimiser this is. */
  readonly kind: "lion";
  /** The highest rate of the schedule. */
  readonly learningRate: number;
  /** Share of the moment in what is stepped by. */
  readonly beta1: number;
  /** Share of the moment kept a step. */
  readonly beta2: number;
  /** Decoupled decay, scaled by the learning rate. */
  readonly weightDecay: number;
}

/** The settings of gradient descent with momentum, from the model description. */
export interface SgdSettings {
  /** Which optimiser this is. */
  readonly kind: "sgd";
  /** The highest rate of the schedule. */
  readonly learningRate: number;
  /** Share of the moment kept a step. */
  readonly momentum: number;
  /** Whether the gradient is taken to be where the moment leads. */
  readonly nesterov: boolean;
  /** Decoupled decay, scaled by the learning rate. */
  readonly weightDecay: number;
}

/** The optimiser from the model description. */
export type OptimizerSettings = AdamwSettings | LionSettings | SgdSettings;

/** A stretch of a run: a share of all its steps from 0 to 1, or so many steps, or so many passes over the data. */
export type ScheduleSpan =
  | number
  | { readonly steps: number }
  | { readonly epochs: number };

/** The learning rate's course from the model description; a run turns it into steps. */
export interface ScheduleSettings {
  /** Shape behind the warm-up. */
  readonly kind: "constant" | "linear" | "cosine" | "wsd";
  /** Steps with a rising rate. */
  readonly warmup: ScheduleSpan;
  /** Share of the learning rate that is left at the end. */
  readonly floor: number;
  /** wsd: steps at the end in which the rate falls; a fifth of all where it is not said. */
  readonly decay?: ScheduleSpan | undefined;
}

/** Everything about a compiled program that the trainer needs; emitted as data with the bindings. */
export interface ProgramInfo {
  /** The model description's name. */
  readonly name: string;
  /** `cpu` or `reference`. */
  readonly target: string;
  /** Hash of the model description, settings and kernels: a checkpoint belongs to one. */
  readonly hash: string;
  /** Rows of a micro-batch. */
  readonly batch: number;
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Token ids; rows of the logits' weight. */
  readonly vocabSize: number;
  /** Hub id or folder of the model, "" where it is written out. */
  readonly source: string;
  /** Type of activations kept for backward. */
  readonly storage: "f32" | "bf16";
  /** Type of frozen weights. */
  readonly weights: "f32" | "bf16";
  /** How linears are adapted. */
  readonly method: "paca" | "full";
  /** For method paca; rank 0 otherwise. */
  readonly rank: number;
  /** The update's scale is alpha / rank. */
  readonly alpha: number;
  /** What decay pulls to: `delta` to the pretrained columns, `weight` to 0. */
  readonly parametrisation: "delta" | "weight";
  /** Seed of the columns' draw. */
  readonly seed: number;
  /** Linears with trained columns; none for method full. */
  readonly adapted: readonly AdaptedLinear[];
  /** The optimiser's settings. */
  readonly optimizer: OptimizerSettings;
  /** The learning rate's course. */
  readonly schedule: ScheduleSettings;
  /** Micro-batches a step. */
  readonly accumulate: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  readonly maxGradNorm: number;
  /** weight, parameter, gradient, moment, index, constant, input, output tensors; views by their own names. */
  readonly tensors: readonly TensorInfo[];
  /** Bytes of the arena as planned. */
  readonly arenaBytes: number;
  /** Floating-point operations of one step (one micro-batch), by the ops' cost rules; what is rebuilt counts once. */
  readonly flopsPerStep: number;
  /** Of a program that writes text: bytes of weights that each token of it reads. */
  readonly bytesPerToken?: number;
  /** Hugging Face config.json of the model as an object, for saved models; {} where it is written out. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Token ids of one micro-batch, each [batch * seqLen], row-major. */
export interface Batch {
  /** Token ids, [batch * seqLen]. */
  readonly inputIds: Int32Array;
  /** labels[t] is predicted from t-1 of the same document; -100 is ignored. */
  readonly labels: Int32Array;
  /** Documents of a packed row; -1 is padding. Positions restart with each document. */
  readonly segmentIds: Int32Array;
}

/** Where a weight's bytes lie. */
export interface WeightSource {
  /** A safetensors file. */
  readonly file: string;
  /** Offset of the first value from the start of the file. */
  readonly byteOffset: number;
  /** safetensors' name of the type in the file. */
  readonly dtype: "F32" | "BF16" | "F16";
}

/** Settings of one optimiser step, in float64. */
export interface StepSettings {
  /** Rate of this step. */
  readonly learningRate: number;
  /** Decoupled decay, scaled by the learning rate. */
  readonly weightDecay: number;
  /** 0: no clipping. */
  readonly maxGradNorm: number;
  /** Number of this step, from 1, for bias correction. */
  readonly step: number;
}

/** The tensors of a program. */
export interface TensorStore {
  /** What the program is. */
  readonly info: ProgramInfo;
  /**
   * Gives a weight or a parameter its values from a file; a weight of the right type is mapped, not copied.
   * @throws {PacacError} io
   */
  load(name: string, source: WeightSource): void;
  /** Copies values into a tensor; types are converted. */
  write(name: string, values: Float32Array | Int32Array): void;
  /** Copies a tensor's values out; bf16 is widened. */
  read(name: string): Float32Array | Int32Array;
  /** Frees everything. */
  dispose(): void;
}

/** What a program that writes text runs in. One call at a time; calls wait for one another. */
export interface DecodeEngine extends TensorStore {
  /**
   * Runs a phase on what its inputs hold now. `prefill`: keys and values of prefill_count tokens, prefill_ids at
   * prefill_position, go into the caches. `decode`: the same of one token, and `logits` of the one that follows it.
   */
  run(phase: "prefill" | "decode"): Promise<void>;
}

/** What a training program runs in. One call at a time; calls wait for one another. */
export interface Engine extends TensorStore {
  /** Zeroes gradients, runs each micro-batch forward and backward, then the optimiser. */
  step(
    batches: readonly Batch[],
    settings: StepSettings,
  ): Promise<{ loss: number; gradNorm: number }>;
  /** Forward and backward without an update; gradients are then there to read. */
  gradients(batches: readonly Batch[]): Promise<{ loss: number }>;
  /** Forward alone. */
  forward(batch: Batch): Promise<{ loss: number }>;
  /** Logits [rows.length, vocab] of positions of the last forward's batch. */
  logits(rows: Int32Array): Promise<Float32Array>;
  /** Bytes of the arena touched so far, and allocations made by steps (0 is promised). */
  memory(): { arenaUsed: number; stepAllocations: number };
}
