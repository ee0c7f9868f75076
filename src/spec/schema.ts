/**
 * The zod schema of a model description: what the data of a spec file must look like (src/spec/description.ts has the types).
 * @module
 */
import { z } from "zod";
import type { FineTuneSpec } from "./description.ts";

const identifier = z.string().regex(
  /^[a-z][a-z0-9_-]{0,62}$/,
  "must start with a lower-case letter and hold only a-z, 0-9, - and _",
);
const count = z.int().min(1);

/** Rotary frequencies' scaling. */
const ropeScalingSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("default") }),
  z.strictObject({ type: z.literal("linear"), factor: z.number().positive() }),
  z.strictObject({
    type: z.literal("llama3"),
    factor: z.number().positive(),
    lowFreqFactor: z.number().positive(),
    highFreqFactor: z.number().positive(),
    originalMaxPositionEmbeddings: count,
  }),
]);

/** A step of a written-out architecture. Values are numbered; every value is [tokens, width]. */
const stepSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("embed"),
    name: z.string(),
    out: z.int(),
    vocab: count,
    width: count,
  }),
  z.strictObject({
    kind: z.literal("linear"),
    name: z.string(),
    x: z.int(),
    out: z.int(),
    inFeatures: count,
    outFeatures: count,
    bias: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal("rms_norm"),
    name: z.string(),
    x: z.int(),
    out: z.int(),
    width: count,
    eps: z.number().positive(),
  }),
  z.strictObject({
    kind: z.literal("rope"),
    x: z.int(),
    out: z.int(),
    width: count,
    headDim: count,
    theta: z.number().positive(),
    scaling: ropeScalingSchema,
  }),
  z.strictObject({
    kind: z.literal("attention"),
    q: z.int(),
    k: z.int(),
    v: z.int(),
    out: z.int(),
    heads: count,
    kvHeads: count,
    headDim: count,
  }),
  z.strictObject({
    kind: z.literal("swiglu"),
    gate: z.int(),
    up: z.int(),
    out: z.int(),
    width: count,
  }),
  z.strictObject({ kind: z.literal("add"), a: z.int(), b: z.int(), out: z.int(), width: count }),
]);

/** A block of steps that repeats, each time with weights of its own. */
const repeatSchema = z.strictObject({
  kind: z.literal("repeat"),
  name: z.string(),
  count,
  x: z.int(),
  /** The block's input and output among its own values. */
  bodyIn: z.int(),
  bodyOut: z.int(),
  body: z.array(stepSchema).min(1),
  out: z.int(),
});

/** A written-out architecture: token ids in, hidden states out, and the head that predicts. */
const architectureSchema = z.strictObject({
  vocabSize: count,
  width: count,
  steps: z.array(z.union([repeatSchema, stepSchema])).min(1),
  result: z.int(),
  /** Module whose weight [vocab, width] makes logits; the embedding's where the head is tied. */
  head: z.string(),
});

const columns = {
  rank: count.max(4096),
  alpha: z.number().positive(),
  targets: z.array(z.string().min(1)).min(1),
  seed: z.int().min(0),
};

const adaptSchema = z.discriminatedUnion("method", [
  z.strictObject({
    method: z.literal("paca"),
    ...columns,
    parametrisation: z.enum(["delta", "weight"]),
  }),
  z.strictObject({ method: z.literal("full"), seed: z.int().min(0) }),
]);

const share = z.number().min(0).max(1);

const kept = z.number().min(0).lt(1);
const learningRate = z.number().positive(), weightDecay = z.number().min(0);

const optimizerSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("adamw"),
    learningRate,
    beta1: kept,
    beta2: kept,
    epsilon: z.number().positive(),
    weightDecay,
  }),
  z.strictObject({
    kind: z.literal("lion"),
    learningRate,
    beta1: kept,
    beta2: kept,
    weightDecay,
  }),
  z.strictObject({
    kind: z.literal("sgd"),
    learningRate,
    momentum: kept,
    nesterov: z.boolean(),
    weightDecay,
  }),
]);

const spanSchema = z.union([
  share,
  z.strictObject({ steps: z.int().min(0) }),
  z.strictObject({ epochs: z.number().min(0) }),
]);

const scheduleSchema = z.strictObject({
  kind: z.enum(["constant", "linear", "cosine", "wsd"]),
  warmup: spanSchema,
  floor: share,
  decay: spanSchema.optional(),
});

const trainSchema = z.strictObject({
  batch: count,
  seqLen: count.min(2),
  optimizer: optimizerSchema,
  schedule: scheduleSchema,
  storage: z.enum(["f32", "bf16"]),
  weights: z.enum(["f32", "bf16"]).optional(),
  accumulate: count,
  maxGradNorm: z.number().min(0),
  recompute: z.union([z.literal(0), z.literal(1), z.literal(2)]),
  maxKeptBytes: z.int().min(1).optional(),
});

/** The whole model description. */
export const fineTuneSchema = z.strictObject({
  name: identifier,
  model: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("pretrained"), source: z.string().min(1) }),
    z.strictObject({
      kind: z.literal("architecture"),
      architecture: architectureSchema,
      /** Folder with tokenizer and weights, relative to the description; "" where there is none. */
      folder: z.string(),
    }),
  ]),
  adapt: adaptSchema,
  train: trainSchema,
}) satisfies z.ZodType<FineTuneSpec>;
