/**
 * A model's sizes as GGUF metadata, and back as a Hugging Face config.
 * @module
 */
import type { GgufFile } from "./gguf_header.ts";
import { ggufInvalid } from "./gguf_cursor.ts";
import { architectureOf, ARCHITECTURES } from "./gguf_names.ts";
import type { WrittenDtype } from "./gguf_quantise.ts";
import {
  f32,
  type GgufMetadata,
  type GgufScalar,
  type GgufValue,
  text,
  u32,
} from "./gguf_types.ts";
import type { LlamaConfig, RopeScaling } from "./hf_config.ts";

/** llama.cpp's number of "mostly this type". */
const FILE_TYPES: Readonly<Record<WrittenDtype, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  BF16: 32,
};
/** Version of the layouts of quantised blocks. */
const QUANTISATION_VERSION = 2;
/** Factors of llama 3's frequencies, one for each pair of a head. */
export const ROPE_FACTORS = "rope_freqs.weight";

/**
 * Metadata of a model without its vocabulary.
 * @param config The model's sizes
 * @param options A name that people read, the type of most tensors
 */
export function modelMetadata(
  config: LlamaConfig,
  options: { readonly name: string; readonly dtype: WrittenDtype },
): Map<string, GgufValue> {
  const arch = architectureOf(config).name;
  // Beyond a sliding window the file's reader would attend to all, which is not what was trained.
  const context = Math.min(config.maxPositionEmbeddings, config.slidingWindow ?? Infinity);
  const entries: [string, GgufValue][] = [
    ["general.architecture", text(arch)],
    ["general.type", text("model")],
    ["general.name", text(options.name)],
    ["general.file_type", u32(FILE_TYPES[options.dtype])],
    ["general.quantization_version", u32(QUANTISATION_VERSION)],
    [`${arch}.block_count`, u32(config.layers)],
    [`${arch}.context_length`, u32(context)],
    [`${arch}.embedding_length`, u32(config.hiddenSize)],
    [`${arch}.feed_forward_length`, u32(config.intermediateSize)],
    [`${arch}.attention.head_count`, u32(config.heads)],
    [`${arch}.attention.head_count_kv`, u32(config.kvHeads)],
    [`${arch}.attention.key_length`, u32(config.headDim)],
    [`${arch}.attention.value_length`, u32(config.headDim)],
    [`${arch}.attention.layer_norm_rms_epsilon`, f32(config.rmsNormEps)],
    [`${arch}.rope.freq_base`, f32(config.ropeTheta)],
    [`${arch}.rope.dimension_count`, u32(config.headDim)],
    [`${arch}.vocab_size`, u32(config.vocabSize)],
  ];
  if (config.ropeScaling.type === "linear") {
    entries.push([`${arch}.rope.scaling.type`, text("linear")]);
    entries.push([`${arch}.rope.scaling.factor`, f32(config.ropeScaling.factor)]);
  }
  return new Map(entries);
}

type Llama3 = Extract<RopeScaling, { readonly type: "llama3" }>;

/**
 * What llama 3 divides each frequency by, [headDim/2]: 1 for short waves, `factor` for long ones, between them a blend.
 * @param scaling Its parameters
 * @param options Size of a head, base of the frequencies
 */
export function ropeFactors(
  scaling: Llama3,
  { headDim, ropeTheta }: { readonly headDim: number; readonly ropeTheta: number },
): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wave = 2 * Math.PI * ropeTheta ** (2 * i / headDim);
    const turns = originalMaxPositionEmbeddings / wave;
    if (turns > highFreqFactor) return 1;
    if (turns < lowFreqFactor) return factor;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** Reads typed metadata of one architecture. */
export class MetadataReader {
  readonly #metadata: GgufMetadata;
  readonly #file: string;

  /**
   * @param metadata The metadata
   * @param file Path for messages
   */
  constructor(metadata: GgufMetadata, file: string) {
    this.#metadata = metadata;
    this.#file = file;
  }

  /**
   * A text, or undefined where there is no such key.
   * @param key The key
   */
  text(key: string): string | undefined {
    const value = this.#scalar(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.#wrong(key, "a text");
  }

  /**
   * A number, whole or not, or undefined where there is no such key.
   * @param key The key
   */
  number(key: string): number | undefined {
    const value = this.#scalar(key);
    if (value === undefined) return undefined;
    if (typeof value === "bigint" || typeof value === "number") return Number(value);
    throw this.#wrong(key, "a number");
  }

  /**
   * A yes or no, or undefined where there is no such key.
   * @param key The key
   */
  flag(key: string): boolean | undefined {
    const value = this.#scalar(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#wrong(key, "true or false");
  }

  /**
   * An array of texts, or undefined where there is no such key.
   * @param key The key
   */
  texts(key: string): readonly string[] | undefined {
    return this.#list(key, "texts", (value): value is string => typeof value === "string");
  }

  /**
   * An array of numbers, or undefined where there is no such key.
   * @param key The key
   */
  numbers(key: string): readonly number[] | undefined {
    return this.#list(key, "numbers", (value): value is number => typeof value === "number");
  }

  /**
   * What must be there.
   * @param key The key
   * @param value What was read
   */
  need<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    const place = { file: this.#file, field: key };
    throw ggufInvalid("Cannot use metadata: the key is missing", place);
  }

  #list<T extends GgufScalar>(
    key: string,
    what: string,
    fits: (value: GgufScalar) => value is T,
  ): readonly T[] | undefined {
    const found = this.#metadata.get(key);
    if (found === undefined) return undefined;
    if (found.type !== "array") throw this.#wrong(key, `an array of ${what}`);
    const { values } = found;
    if (values.every(fits)) return values;
    throw this.#wrong(key, `an array of ${what}`);
  }

  // A value for each layer counts as one where all are the same.
  #scalar(key: string): GgufScalar | undefined {
    const found = this.#metadata.get(key);
    if (found?.type !== "array") return found?.value;
    const [first] = found.values;
    if (first !== undefined && found.values.every((value) => value === first)) return first;
    throw this.#wrong(key, "one value, the same for all layers");
  }

  #wrong(key: string, need: string): Error {
    const place = { file: this.#file, field: key };
    return ggufInvalid(`Cannot use metadata: it must be ${need}`, place);
  }
}

/**
 * A file's metadata as the content of a Hugging Face config.json.
 * @param file The opened file
 * @param factors Values of `rope_freqs.weight`, where the file has it
 * @throws {PacacError} `family-unknown`, `gguf-invalid`
 */
export function configJson(
  file: GgufFile,
  factors: Float32Array | undefined,
): Record<string, unknown> {
  const read = new MetadataReader(file.metadata, file.path);
  const arch = read.need("general.architecture", read.text("general.architecture"));
  const known = [...ARCHITECTURES].find(([, { name }]) => name === arch)?.[0];
  if (known === undefined || (read.number(`${arch}.expert_count`) ?? 0) > 0) {
    throw unknownArchitecture(arch, file.path);
  }
  const need = (key: string): number => read.need(`${arch}.${key}`, read.number(`${arch}.${key}`));
  checkLayers(need("block_count"), { file, arch });
  const heads = need("attention.head_count");
  const hidden = need("embedding_length");
  const headDim = read.number(`${arch}.attention.key_length`) ?? hidden / heads;
  checkRotated(read.number(`${arch}.rope.dimension_count`) ?? headDim, { headDim, file, arch });
  const theta = decimal(read.number(`${arch}.rope.freq_base`) ?? 10000);
  const token = (name: string) => read.number(`tokenizer.ggml.${name}_token_id`);
  return {
    architectures: [known === "qwen2" ? "Qwen2ForCausalLM" : "LlamaForCausalLM"],
    model_type: known,
    hidden_size: hidden,
    intermediate_size: need("feed_forward_length"),
    num_hidden_layers: need("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: read.number(`${arch}.attention.head_count_kv`) ?? heads,
    head_dim: headDim,
    hidden_act: "silu",
    vocab_size: file.tensors.get("token_embd.weight")?.shape[0] ?? need("vocab_size"),
    max_position_embeddings: need("context_length"),
    rms_norm_eps: decimal(need("attention.layer_norm_rms_epsilon")),
    rope_theta: theta,
    rope_scaling: scalingJson(read, { arch, file, headDim, theta, factors }),
    tie_word_embeddings: !file.tensors.has("output.weight"),
    attention_bias: file.tensors.has("blk.0.attn_q.bias"),
    mlp_bias: file.tensors.has("blk.0.ffn_gate.bias"),
    bos_token_id: token("bos") ?? null,
    eos_token_id: token("eos") ?? null,
    pad_token_id: token("padding") ?? null,
  };
}

function unknownArchitecture(arch: string, file: string): Error {
  const names = [...new Set([...ARCHITECTURES.values()].map(({ name }) => name))].join(", ");
  return ggufInvalid(
    `Cannot use model: architecture "${arch}" is not known, or a mixture of experts`,
    { file, field: "general.architecture" },
    `known are ${names} without experts; choose a model of one of them`,
  );
}

// Before anything is made for each layer.
function checkLayers(
  layers: number,
  { file, arch }: { readonly file: GgufFile; readonly arch: string },
): void {
  if (layers <= file.tensors.size) return;
  const state = `${layers} layers, but ${file.tensors.size} tensors`;
  const place = { file: file.path, field: `${arch}.block_count` };
  throw ggufInvalid(`Cannot use model: ${state}`, place);
}

function checkRotated(
  rotated: number,
  at: { readonly headDim: number; readonly file: GgufFile; readonly arch: string },
): void {
  if (rotated === at.headDim) return;
  throw ggufInvalid(
    `Cannot use model: ${rotated} of ${at.headDim} elements of a head are rotated`,
    { file: at.file.path, field: `${at.arch}.rope.dimension_count` },
    "only whole heads are rotated: choose a model without it",
  );
}

function scalingJson(
  read: MetadataReader,
  at: {
    readonly arch: string;
    readonly file: GgufFile;
    readonly headDim: number;
    readonly theta: number;
    readonly factors: Float32Array | undefined;
  },
): Record<string, unknown> | null {
  const key = `${at.arch}.rope.scaling.type`;
  const type = read.text(key) ?? "none";
  const factor = read.number(`${at.arch}.rope.scaling.factor`) ?? 1;
  if (at.factors !== undefined) return llama3Json(at.factors, at);
  if (type === "none") return null;
  if (type === "linear") return { rope_type: "linear", factor: decimal(factor) };
  throw ggufInvalid(
    `Cannot use model: rotary scaling "${type}" is not known`,
    { file: at.file.path, field: key },
    "none, linear and llama 3's are read: choose a model with one of them",
  );
}

// The file holds only the factors. Low and high are 1 and 4 in every llama; the trained length follows from any blend.
function llama3Json(
  factors: Float32Array,
  at: { readonly file: GgufFile; readonly headDim: number; readonly theta: number },
): Record<string, unknown> {
  const factor = factors.at(-1) ?? 1;
  const guess = {
    type: "llama3",
    factor,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: trainedLength(factors, at) ?? 8192,
  } as const;
  const made = ropeFactors(guess, { headDim: at.headDim, ropeTheta: at.theta });
  // Others compute in float32: a few units of its last place.
  const same = made.length === factors.length &&
    made.every((value, i) => Math.abs(value - (factors[i] ?? NaN)) <= 1e-5 * value);
  if (!same) {
    throw ggufInvalid(
      "Cannot use model: its rotary factors are not those of llama 3",
      { file: at.file.path, field: ROPE_FACTORS },
      "use the model's safetensors version, whose config.json has the parameters",
    );
  }
  return {
    rope_type: "llama3",
    factor,
    low_freq_factor: guess.lowFreqFactor,
    high_freq_factor: guess.highFreqFactor,
    original_max_position_embeddings: guess.originalMaxPositionEmbeddings,
  };
}

// 1/v = (1 − s)/factor + s gives s, s = (turns − 1)/3 gives turns, and turns = length/wave the length.
function trainedLength(
  factors: Float32Array,
  { headDim, theta }: { readonly headDim: number; readonly theta: number },
): number | undefined {
  const factor = factors.at(-1) ?? 1;
  const i = factors.findIndex((value) => value > 1.001 && value < 0.999 * factor);
  if (i < 0) return undefined;
  const smooth = (1 / (factors[i] ?? NaN) - 1 / factor) / (1 - 1 / factor);
  const wave = 2 * Math.PI * theta ** (2 * i / headDim);
  return Math.round((3 * smooth + 1) * wave);
}

// The shortest decimal that rounds to the same float32: 1e-5, not 0.000009999999747378752.
function decimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
