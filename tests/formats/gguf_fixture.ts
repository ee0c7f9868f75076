/**
 * Small models in Hugging Face's layout for tests of GGUF: random weights by seed, tokenizers made by hand.
 * @module
 */
import {
  fromFloat32,
  parseConfig,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/formats/mod.ts";
import { modelTensors } from "../../src/formats/gguf_names.ts";

/** Fields of config.json that differ from the fixture's. */
export type SmallConfig = Readonly<Record<string, unknown>>;

const CONFIG = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 320,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  max_position_embeddings: 512,
  tie_word_embeddings: false,
  bos_token_id: 0,
  eos_token_id: 1,
};

/**
 * Writes a model folder.
 * @param folder Where to
 * @param more Fields of its config, and its tokenizer.json
 * @returns The folder
 */
export function smallModel(
  folder: string,
  { tokenizer, ...more }: SmallConfig & { readonly tokenizer: object },
): string {
  Deno.mkdirSync(folder, { recursive: true });
  const json = { ...CONFIG, ...more };
  const config = parseConfig(json, { file: "config.json" });
  const random = uniform(12345);
  const tensors = modelTensors(config).map(({ name, shape }): TensorToWrite => {
    const size = shape.reduce((product, n) => product * n, 1);
    // Norms near 1; matrices large enough that the likeliest token leads clearly.
    const values = Float32Array.from(
      { length: size },
      () => name.includes("norm") ? 1 + 0.1 * random() : 0.3 * random(),
    );
    return { name, shape, dtype: "F32", bytes: fromFloat32(values, "F32") };
  });
  writeSafetensors(`${folder}/model.safetensors`, tensors, { metadata: { format: "pt" } });
  const write = (name: string, value: object) =>
    Deno.writeTextFileSync(`${folder}/${name}`, JSON.stringify(value));
  write("config.json", json);
  write("tokenizer.json", tokenizer);
  write("tokenizer_config.json", {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: "<start>",
    eos_token: "<end>",
    chat_template: "{% for m in messages %}{{ m.role }}: {{ m.content }}<end>{% endfor %}",
  });
  return folder;
}

// Numbers in [-1, 1), the same each time.
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const SPECIAL = ["<start>", "<end>"].map((content, id) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
}));

/** Byte-level BPE with a few merges, no begin-of-text. */
export function byteLevelTokenizer(): object {
  const tokens = [...SPECIAL.map(({ content }) => content), ...byteLetters()];
  const merges = ["t h", "th e", "Ġ the", "c a", "ca t", "Ġ cat", "Ġ s", "a t"];
  for (const merge of merges) tokens.push(merge.replace(" ", ""));
  tokens.push("__proto__");
  return {
    version: "1.0",
    added_tokens: SPECIAL,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Digits", individual_digits: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: ids(tokens), merges: merges.map((pair) => pair.split(" ")) },
  };
}

/** SentencePiece's BPE as transformers writes it: a space as ▁, bytes to fall back on, begin-of-text before each text. */
export function piecesTokenizer(): object {
  const bytes = Array.from(
    { length: 256 },
    (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const letters = [..."▁thecasn"];
  const merges = ["t h", "th e", "▁ the", "▁t he", "h e", "c a", "ca t", "c at", "a t", "▁ t"];
  const tokens = [...SPECIAL.map(({ content }) => content), "<unk>", ...bytes, ...letters];
  for (const merge of merges) {
    const whole = merge.replace(" ", "");
    if (!tokens.includes(whole)) tokens.push(whole);
  }
  const start = { SpecialToken: { id: "<start>", type_id: 0 } };
  const a = { Sequence: { id: "A", type_id: 0 } };
  return {
    version: "1.0",
    added_tokens: [...SPECIAL, { ...SPECIAL[0], id: 2, content: "<unk>" }],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [start, a],
      pair: [start, a, start, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<start>": { id: "<start>", ids: [0], tokens: ["<start>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: ids(tokens),
      merges: merges.map((pair) => pair.split(" ")),
    },
  };
}

function ids(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

// GPT-2's letters for bytes: printable ones stand for themselves, the others for U+0100 and up.
function byteLetters(): string[] {
  const letters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = byte >= 33 && byte <= 126 || byte >= 161 && byte !== 173;
    letters.push(String.fromCodePoint(printable ? byte : next++));
  }
  return letters;
}
