/**
 * The tokenizer of a GGUF file as the content of Hugging Face's tokenizer files.
 * @module
 */
import { ggufInvalid } from "./gguf_cursor.ts";
import { MetadataReader } from "./gguf_config.ts";
import type { GgufFile } from "./gguf_header.ts";
import { PRE_TOKENIZERS, preTokenizerJson } from "./gguf_pretokenizers.ts";
import { TOKEN_KINDS } from "./gguf_vocabulary.ts";

/** Content of a folder's tokenizer files. */
export interface TokenizerFiles {
  /** tokenizer.json. */
  readonly tokenizer: Record<string, unknown>;
  /** tokenizer_config.json. */
  readonly settings: Record<string, unknown>;
  /** chat_template.jinja, where the file has one. */
  readonly chatTemplate: string | undefined;
}

/**
 * Reads a file's tokenizer.
 * @param file The opened file
 * @throws {PacacError} `gguf-invalid` where it is of a kind that is not read
 */
export function tokenizerFiles(file: GgufFile): TokenizerFiles {
  const read = new MetadataReader(file.metadata, file.path);
  const tokens = read.need("tokenizer.ggml.tokens", read.texts("tokenizer.ggml.tokens"));
  const kinds = read.numbers("tokenizer.ggml.token_type") ?? tokens.map(() => TOKEN_KINDS.normal);
  sameLength(file, kinds, { tokens, key: "tokenizer.ggml.token_type" });
  const special = (name: string) => tokens[read.number(`tokenizer.ggml.${name}_token_id`) ?? -1];
  const names = {
    bos_token: special("bos"),
    eos_token: special("eos"),
    unk_token: special("unknown"),
    pad_token: special("padding"),
  };
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(vocab).length < tokens.length) {
    const place = { file: file.path, field: "tokenizer.ggml.tokens" };
    throw ggufInvalid("Cannot use tokenizer: a token is there twice", place);
  }
  const kind = read.text("tokenizer.ggml.model") ?? "";
  const model = kind === "gpt2"
    ? mergesModel(read, file)
    : kind === "llama"
    ? piecesModel(read, { file, tokens, vocab })
    : undefined;
  if (model === undefined) {
    throw ggufInvalid(
      `Cannot use tokenizer: kind "${kind}" is not known`,
      { file: file.path, field: "tokenizer.ggml.model" },
      "gpt2 and llama are read: take tokenizer.json from the model's original repository",
    );
  }
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, kinds),
    ...model.parts,
    post_processor: postProcessor(names.bos_token, { read, vocab }),
    model: { type: "BPE", dropout: null, ...model.fields, vocab, merges: model.merges },
  };
  const chatTemplate = read.text("tokenizer.chat_template");
  return { tokenizer, settings: settingsOf(names), chatTemplate };
}

function settingsOf(names: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const known = Object.entries(names).filter(([, token]) => token !== undefined);
  return { tokenizer_class: "PreTrainedTokenizerFast", ...Object.fromEntries(known) };
}

function sameLength(
  { path }: GgufFile,
  values: readonly unknown[],
  { tokens, key }: { readonly tokens: readonly string[]; readonly key: string },
): void {
  if (values.length === tokens.length) return;
  const state = `${values.length} values for ${tokens.length} tokens`;
  throw ggufInvalid(`Cannot use tokenizer: ${state}`, { file: path, field: key });
}

interface BpeModel {
  /** Fields of tokenizer.json beside the model. */
  readonly parts: Record<string, unknown>;
  /** Fields of the model beside vocabulary and merges. */
  readonly fields: Record<string, unknown>;
  readonly merges: readonly (readonly [string, string])[];
}

function mergesModel(read: MetadataReader, file: GgufFile): BpeModel {
  const key = "tokenizer.ggml.pre";
  const name = read.text(key) ?? "gpt-2";
  const pre = PRE_TOKENIZERS.find((known) => known.name === name);
  if (pre === undefined) {
    throw ggufInvalid(
      `Cannot use tokenizer: the way to cut text "${name}" is not known`,
      { file: file.path, field: key },
      `known are ${PRE_TOKENIZERS.map((known) => known.name).join(", ")}: take tokenizer.json ` +
        "from the model's original repository",
    );
  }
  const merges = read.need("tokenizer.ggml.merges", read.texts("tokenizer.ggml.merges"));
  return {
    parts: {
      normalizer: pre.normalizer,
      pre_tokenizer: preTokenizerJson(pre),
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    },
    fields: { unk_token: null, byte_fallback: false, ignore_merges: pre.name === "llama-bpe" },
    merges: merges.map((merge) => splitMerge(merge, file)),
  };
}

// A token may be a space only at its start, so the space that parts the two is the first after the first character.
function splitMerge(merge: string, { path }: GgufFile): readonly [string, string] {
  const at = merge.indexOf(" ", 1);
  if (at > 0 && at < merge.length - 1) return [merge.slice(0, at), merge.slice(at + 1)];
  const state = `${JSON.stringify(merge)} is no pair`;
  const place = { file: path, field: "tokenizer.ggml.merges" };
  throw ggufInvalid(`Cannot use tokenizer: ${state}`, place);
}

// Merges in the order of the scores of what they make; of one token, in the order of their parts' ids.
function piecesModel(
  read: MetadataReader,
  { file, tokens, vocab }: {
    readonly file: GgufFile;
    readonly tokens: readonly string[];
    readonly vocab: Readonly<Record<string, number>>;
  },
): BpeModel {
  const key = "tokenizer.ggml.scores";
  const scores = read.need(key, read.numbers(key));
  sameLength(file, scores, { tokens, key });
  const ids = new Map(Object.entries(vocab));
  const order = tokens.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const merges = order.flatMap((at) => splitsOf(tokens[at] ?? "", ids));
  const prefix = read.flag("tokenizer.ggml.add_space_prefix") ?? true;
  const space = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const normalizers = prefix ? [{ type: "Prepend", prepend: "▁" }, space] : [space];
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  return {
    parts: {
      normalizer: { type: "Sequence", normalizers },
      pre_tokenizer: null,
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          ...prefix ? [strip] : [],
        ],
      },
    },
    fields: {
      unk_token: tokens[read.number("tokenizer.ggml.unknown_token_id") ?? 0] ?? null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
    },
    merges,
  };
}

function splitsOf(token: string, ids: ReadonlyMap<string, number>): [string, string][] {
  const characters = [...token];
  if (characters.length > 64) return [];
  const splits: [string, string][] = [];
  for (let i = 1; i < characters.length; i++) {
    const left = characters.slice(0, i).join("");
    const right = characters.slice(i).join("");
    if (ids.has(left) && ids.has(right)) splits.push([left, right]);
  }
  const id = (part: string) => ids.get(part) ?? 0;
  return splits.sort((a, b) => id(a[0]) - id(b[0]) || id(a[1]) - id(b[1]));
}

function addedTokens(tokens: readonly string[], kinds: readonly number[]): unknown[] {
  const added: readonly number[] = [
    TOKEN_KINDS.control,
    TOKEN_KINDS.userDefined,
    TOKEN_KINDS.unknown,
  ];
  return tokens.flatMap((content, id) => {
    const kind = kinds[id] ?? 0;
    if (!added.includes(kind)) return [];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [{ id, content, ...flags, special: kind !== TOKEN_KINDS.userDefined }];
  });
}

function postProcessor(
  bos: string | undefined,
  { read, vocab }: {
    readonly read: MetadataReader;
    readonly vocab: Readonly<Record<string, number>>;
  },
): unknown {
  const fallback = read.text("tokenizer.ggml.model") === "llama";
  const adds = read.flag("tokenizer.ggml.add_bos_token") ?? fallback;
  if (!adds || bos === undefined) return null;
  const token = { SpecialToken: { id: bos, type_id: 0 } };
  const a = { Sequence: { id: "A", type_id: 0 } };
  const b = { Sequence: { id: "B", type_id: 1 } };
  return {
    type: "TemplateProcessing",
    single: [token, a],
    pair: [token, a, { SpecialToken: { id: bos, type_id: 1 } }, b],
    special_tokens: { [bos]: { id: bos, ids: [vocab[bos]], tokens: [bos] } },
  };
}
