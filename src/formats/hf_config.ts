/**
 * A Hugging Face config.json as plain sizes: llama, and mistral and qwen2, which have its layout.
 *
 * transformers 4 wrote rope_theta and rope_scaling, 5 writes rope_parameters; both are read. What would change the maths
 * and is not built (other activations, rotary scalings, sliding windows, quantised weights) is an error, never ignored.
 * @module
 */
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { readJson } from "./files.ts";

/** How rotary frequencies are stretched. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    readonly originalMaxPositionEmbeddings: number;
  };

/** Architectures that are known, by `model_type`. */
const KNOWN_FAMILIES = ["llama", "mistral", "qwen2"] as const;
/** One of them. */
export type Family = typeof KNOWN_FAMILIES[number];

/** What a config.json says. */
export interface LlamaConfig {
  readonly modelType: Family;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  readonly tieWordEmbeddings: boolean;
  /** Biases of q, k, v. */
  readonly attentionBias: boolean;
  /** Bias of o; the same as attentionBias in llama, never in mistral and qwen2. */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly hiddenAct: "silu";
  readonly maxPositionEmbeddings: number;
  /** Only so many of the last tokens are attended to; undefined: all. */
  readonly slidingWindow: number | undefined;
  readonly bosTokenId: number | undefined;
  /** Any of these ends a text. */
  readonly eosTokenIds: readonly number[];
}

const size = z.int().min(1).max(2 ** 31 - 1);
const positive = z.number().positive();
const token = z.int().min(0).max(2 ** 31 - 1);

const ropeSchema = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  factor: positive.nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  original_max_position_embeddings: size.nullish(),
  partial_rotary_factor: positive.nullish(),
});

const configSchema = z.looseObject({
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  rms_norm_eps: positive.nullish(),
  rope_theta: positive.nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  partial_rotary_factor: positive.nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  hidden_act: z.string().nullish(),
  max_position_embeddings: size.nullish(),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().nullish(),
  bos_token_id: token.nullish(),
  eos_token_id: z.union([token, z.array(token)]).nullish(),
  quantization_config: z.unknown().optional(),
});

type Raw = z.infer<typeof configSchema>;
type RawRope = z.infer<typeof ropeSchema>;

/**
 * Reads a config.json.
 * @param file Its path
 * @throws {PacacError} `family-unknown`, `config-invalid` with the field, `io`
 */
export function readConfig(file: string): LlamaConfig {
  return parseConfig(readJson(file, { code: "config-invalid" }), { file });
}

/**
 * Reads a config.json's content.
 * @param json The parsed JSON
 * @param options The file's name for errors
 */
export function parseConfig(json: unknown, options: { readonly file: string }): LlamaConfig {
  const { file } = options;
  const modelType = parseFamily(json, file);
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const message = `Cannot use config: ${issue?.message ?? "it does not fit"}`;
    throw new PacacError("config-invalid", message, {
      place: { file, field: issue?.path.join(".") ?? "" },
      remedy: "compare with the config.json that the model was published with",
    });
  }
  const raw = parsed.data;
  const fail = (field: string, state: string, remedy: string): PacacError =>
    new PacacError("config-invalid", `Cannot use config: ${state}`, {
      place: { file, field },
      remedy,
    });
  checkSupported(raw, fail);
  return { modelType, ...sizesOf(raw, fail), ...variantOf(modelType, raw), ...ropeOf(raw, fail) };
}

type Fail = (field: string, state: string, remedy: string) => PacacError;

function parseFamily(json: unknown, file: string): Family {
  const found = z.looseObject({ model_type: z.string() }).safeParse(json);
  if (!found.success) {
    throw new PacacError("config-invalid", "Cannot use config: model_type is missing", {
      place: { file, field: "model_type" },
      remedy: `it must be one of ${KNOWN_FAMILIES.join(", ")}`,
    });
  }
  const name = found.data.model_type;
  const family = KNOWN_FAMILIES.find((known) => known === name);
  if (family !== undefined) return family;
  const message = `Cannot use model: model_type "${name}" is not known`;
  throw new PacacError("family-unknown", message, {
    place: { file, field: "model_type" },
    remedy: `known are ${KNOWN_FAMILIES.join(", ")}; choose a model of one of them`,
  });
}

function checkSupported(raw: Raw, fail: Fail): void {
  const act = raw.hidden_act ?? "silu";
  if (act !== "silu" && act !== "swish") {
    const way = "only silu is built: choose a model that has it";
    throw fail("hidden_act", `activation "${act}" is not known`, way);
  }
  if (raw.quantization_config !== undefined && raw.quantization_config !== null) {
    const way = "use the model's unquantised version";
    throw fail("quantization_config", "the weights are quantised", way);
  }
  const rope = raw.rope_parameters ?? raw.rope_scaling;
  const partial = rope?.partial_rotary_factor ?? raw.partial_rotary_factor ?? 1;
  if (partial !== 1) {
    const way = "only whole heads are rotated: choose a model without it";
    throw fail("partial_rotary_factor", `${partial} of a head is rotated`, way);
  }
}

function sizesOf(raw: Raw, fail: Fail) {
  const { hidden_size: hiddenSize, num_attention_heads: heads } = raw;
  const kvHeads = raw.num_key_value_heads ?? heads;
  const headDim = raw.head_dim ?? hiddenSize / heads;
  const mend = "compare with the config.json that the model was published with";
  if (!Number.isInteger(headDim)) {
    throw fail("hidden_size", `${hiddenSize} is not a multiple of ${heads} heads`, mend);
  }
  if (headDim % 2 !== 0) throw fail("head_dim", `${headDim} is odd`, mend);
  if (heads % kvHeads !== 0) {
    const state = `${heads} heads are not a multiple of ${kvHeads} key and value heads`;
    throw fail("num_key_value_heads", state, mend);
  }
  const eos = raw.eos_token_id ?? [];
  return {
    hiddenSize,
    intermediateSize: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    vocabSize: raw.vocab_size,
    rmsNormEps: raw.rms_norm_eps ?? 1e-6,
    hiddenAct: "silu" as const,
    tieWordEmbeddings: raw.tie_word_embeddings ?? false,
    maxPositionEmbeddings: raw.max_position_embeddings ?? 2048,
    bosTokenId: raw.bos_token_id ?? undefined,
    eosTokenIds: typeof eos === "number" ? [eos] : eos,
  };
}

// Where the families differ: biases and sliding windows.
function variantOf(family: Family, raw: Raw) {
  const window = raw.sliding_window ?? undefined;
  const bias = raw.attention_bias ?? false;
  if (family === "mistral") {
    return { attentionBias: false, outputBias: false, mlpBias: false, slidingWindow: window };
  }
  if (family === "qwen2") {
    const slidingWindow = raw.use_sliding_window === true ? window : undefined;
    return { attentionBias: true, outputBias: false, mlpBias: false, slidingWindow };
  }
  const mlpBias = raw.mlp_bias ?? false;
  return { attentionBias: bias, outputBias: bias, mlpBias, slidingWindow: undefined };
}

function ropeOf(raw: Raw, fail: Fail) {
  const group = raw.rope_parameters ?? undefined;
  const rope = group ?? raw.rope_scaling ?? {};
  const name = group === undefined ? "rope_scaling" : "rope_parameters";
  const ropeTheta = rope.rope_theta ?? raw.rope_theta ?? 10000;
  const ropeScaling = scalingOf(rope, (field, state, way) => fail(`${name}.${field}`, state, way));
  return { ropeTheta, ropeScaling };
}

function scalingOf(rope: RawRope, fail: Fail): RopeScaling {
  const type = rope.rope_type ?? rope.type ?? "default";
  const need = (field: keyof RawRope & string): number => {
    const value = rope[field];
    if (typeof value === "number") return value;
    throw fail(
      field,
      `it is missing, ${type} scaling needs it`,
      "add it as the model's makers did",
    );
  };
  if (type === "default") return { type };
  if (type === "linear") return { type, factor: need("factor") };
  if (type !== "llama3") {
    const way = "default, linear and llama3 are built: choose a model with one of them";
    throw fail("rope_type", `rotary scaling "${type}" is not known`, way);
  }
  const lowFreqFactor = need("low_freq_factor");
  const highFreqFactor = need("high_freq_factor");
  if (lowFreqFactor >= highFreqFactor) {
    const state = `${highFreqFactor} must be above low_freq_factor ${lowFreqFactor}`;
    throw fail("high_freq_factor", state, "compare with the published config.json");
  }
  const originalMaxPositionEmbeddings = need("original_max_position_embeddings");
  const factor = need("factor");
  return { type, factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings };
}

/**
 * Refuses a model whose sliding window would cut into the sequences trained on: all earlier tokens are attended to.
 * @param config The model
 * @param options Tokens in a sequence, the file's name
 * @throws {PacacError} `config-invalid`
 */
export function checkWindow(
  config: LlamaConfig,
  options: { readonly seqLen: number; readonly file: string },
): void {
  const { slidingWindow } = config;
  const { seqLen, file } = options;
  if (slidingWindow === undefined || seqLen <= slidingWindow) return;
  const message = `Cannot use config: its window of ${slidingWindow} is below seqLen ${seqLen}`;
  throw new PacacError("config-invalid", message, {
    place: { file, field: "sliding_window" },
    remedy: `set train.seqLen to ${slidingWindow} or less`,
  });
}
