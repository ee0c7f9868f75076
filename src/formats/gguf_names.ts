/**
 * Names and row order of a model's tensors, Hugging Face's on one side and llama.cpp's on the other.
 *
 * transformers rotates element i of a head with element i + d/2; llama.cpp's "llama" architecture rotates 2i with 2i + 1.
 * The same model therefore has the rows of q and k in another order there: row i of a head's first half goes to 2i, row i
 * of its second half to 2i + 1. Scores are sums over a head's elements, so an order that q and k share changes nothing
 * else. "qwen2" rotates as transformers does and keeps its rows.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { LlamaConfig } from "./hf_config.ts";

/** An architecture of llama.cpp's, and whether rows of q and k are interleaved there. */
export interface GgufArchitecture {
  readonly name: string;
  readonly interleaved: boolean;
}

const LLAMA: GgufArchitecture = { name: "llama", interleaved: true };

/** Architectures by `model_type`; llama and mistral are one there. */
export const ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map([
  ["llama", LLAMA],
  ["mistral", LLAMA],
  ["qwen2", { name: "qwen2", interleaved: false }],
]);

/** Names below a layer: Hugging Face's, then llama.cpp's. */
const IN_LAYER: ReadonlyMap<string, string> = new Map([
  ["input_layernorm", "attn_norm"],
  ["self_attn.q_proj", "attn_q"],
  ["self_attn.k_proj", "attn_k"],
  ["self_attn.v_proj", "attn_v"],
  ["self_attn.o_proj", "attn_output"],
  ["post_attention_layernorm", "ffn_norm"],
  ["mlp.gate_proj", "ffn_gate"],
  ["mlp.up_proj", "ffn_up"],
  ["mlp.down_proj", "ffn_down"],
]);
const OUTSIDE: ReadonlyMap<string, string> = new Map([
  ["model.embed_tokens", "token_embd"],
  ["model.norm", "output_norm"],
  ["lm_head", "output"],
]);

/**
 * llama.cpp's name of a module or tensor, or undefined where it has none.
 * @param name Hugging Face's, as `model.layers.0.mlp.up_proj` or with `.weight` behind
 */
export function ggufName(name: string): string | undefined {
  const [, stem = name, end = ""] = name.match(/^(.*?)(\.weight|\.bias)?$/) ?? [];
  const outside = OUTSIDE.get(stem);
  if (outside !== undefined) return outside + end;
  const [, layer, rest = ""] = stem.match(/^model\.layers\.(\d+)\.(.+)$/) ?? [];
  const inside = IN_LAYER.get(rest);
  return inside === undefined ? undefined : `blk.${layer}.${inside}${end}`;
}

/** A tensor that a model has. */
export interface ModelTensor {
  /** Hugging Face's name. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Heads whose rows are in another order in a GGUF file; undefined where rows stay. */
  readonly heads?: number;
}

/**
 * Every tensor of a model of the llama shape, in the order of layers.
 * @param config The model's sizes
 */
export function modelTensors(config: LlamaConfig): ModelTensor[] {
  const { hiddenSize, intermediateSize, vocabSize, headDim, heads, kvHeads } = config;
  const { attentionBias, outputBias, mlpBias } = config;
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  const tensors: ModelTensor[] = [{
    name: "model.embed_tokens.weight",
    shape: [vocabSize, hiddenSize],
  }];
  const linear = (
    name: string,
    shape: readonly [number, number],
    more: { readonly bias: boolean; readonly heads?: number },
  ) => {
    const order = more.heads === undefined ? {} : { heads: more.heads };
    tensors.push({ name: `${name}.weight`, shape, ...order });
    if (more.bias) tensors.push({ name: `${name}.bias`, shape: [shape[0]], ...order });
  };
  for (let i = 0; i < config.layers; i++) {
    const at = `model.layers.${i}.`;
    tensors.push({ name: `${at}input_layernorm.weight`, shape: [hiddenSize] });
    linear(`${at}self_attn.q_proj`, [q, hiddenSize], { bias: attentionBias, heads });
    linear(`${at}self_attn.k_proj`, [kv, hiddenSize], { bias: attentionBias, heads: kvHeads });
    linear(`${at}self_attn.v_proj`, [kv, hiddenSize], { bias: attentionBias });
    linear(`${at}self_attn.o_proj`, [hiddenSize, q], { bias: outputBias });
    tensors.push({ name: `${at}post_attention_layernorm.weight`, shape: [hiddenSize] });
    linear(`${at}mlp.gate_proj`, [intermediateSize, hiddenSize], { bias: mlpBias });
    linear(`${at}mlp.up_proj`, [intermediateSize, hiddenSize], { bias: mlpBias });
    linear(`${at}mlp.down_proj`, [hiddenSize, intermediateSize], { bias: mlpBias });
  }
  tensors.push({ name: "model.norm.weight", shape: [hiddenSize] });
  if (!config.tieWordEmbeddings) linear("lm_head", [vocabSize, hiddenSize], { bias: false });
  return tensors;
}

/**
 * The architecture that a model has in llama.cpp.
 * @param config The model
 * @throws {PacacError} `family-unknown` where none is written
 */
export function architectureOf(config: LlamaConfig): GgufArchitecture {
  const found = ARCHITECTURES.get(config.modelType);
  if (found !== undefined) return found;
  throw new PacacError("family-unknown", `Cannot write GGUF: not for ${config.modelType}`, {
    remedy: `it is written for ${[...ARCHITECTURES.keys()].join(", ")}; merge to safetensors and ` +
      "convert the folder with llama.cpp's own script",
  });
}

/**
 * Reorders the rows of q or k between the two ways of rotating.
 * @param values Rows of whole heads, [n·d, K]
 * @param options d rows a head, elements a row, and where the values go
 */
export function reorderRows<T extends Float32Array | Uint8Array>(
  values: T,
  options: {
    readonly headDim: number;
    readonly rowLength: number;
    readonly to: "interleaved" | "halves";
  },
): T {
  const { headDim, rowLength, to } = options;
  const out = values.slice() as T;
  const rows = values.length / rowLength;
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const half = Math.floor(within / (headDim / 2));
    const other = row - within + 2 * (within - half * headDim / 2) + half;
    const [from, into] = to === "interleaved" ? [row, other] : [other, row];
    out.set(values.subarray(from * rowLength, (from + 1) * rowLength), into * rowLength);
  }
  return out;
}
