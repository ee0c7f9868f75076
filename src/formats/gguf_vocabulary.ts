/**
 * A model folder's tokenizer as GGUF metadata: tokens with their kinds, merges or scores, special ids, chat template.
 *
 * Two kinds are written. "gpt2" is byte-level BPE: tokens and merges as tokenizer.json has them. "llama" is
 * SentencePiece's BPE with bytes to fall back on: there llama.cpp joins the neighbours whose joint token has the highest
 * score; tokenizer.json's merges come in the order of those scores, so minus a token's first merge is its score.
 * @module
 */
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { fileSize, join, readJson, withFile } from "./files.ts";
import { preTokenizerName } from "./gguf_pretokenizers.ts";
import { flag, type GgufValue, list, text, u32 } from "./gguf_types.ts";
import type { LlamaConfig } from "./hf_config.ts";

/** Kinds of tokens by their numbers in files. */
export const TOKEN_KINDS = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** Largest tokenizer.json that is read: several times the largest known. */
const MAX_TOKENIZER_BYTES = 1 << 28;

const id = z.int().min(0).max(2 ** 24);
// Not z.record, which leaves out a token named __proto__; large vocabularies of code have it.
const vocabulary = z.custom<Readonly<Record<string, number>>>(
  (value) =>
    typeof value === "object" && value !== null &&
    Object.values(value).every((at) => id.safeParse(at).success),
  "must give each token a number",
);
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id, content: z.string(), special: z.boolean() }))
    .default([]),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: vocabulary,
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    unk_token: z.string().nullish(),
    byte_fallback: z.boolean().nullish(),
  }),
});
type TokenizerJson = z.infer<typeof tokenizerSchema>;

const named = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const settingsSchema = z.looseObject({
  bos_token: named,
  eos_token: named,
  unk_token: named,
  pad_token: named,
  chat_template: z.unknown().optional(),
});
type Settings = z.infer<typeof settingsSchema>;

const postSchema = z.looseObject({
  single: z.array(z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }).optional() })),
});

/**
 * Metadata of a folder's tokenizer.
 * @param folder The model's folder
 * @param config The model: rows of its embedding, ids that end a text
 * @throws {PacacError} `tokenizer-invalid` where it is of a kind that GGUF has no name for
 */
export function vocabularyMetadata(folder: string, config: LlamaConfig): Map<string, GgufValue> {
  const file = join(folder, "tokenizer.json");
  const tokenizer = parse(file, tokenizerSchema);
  const settingsFile = join(folder, "tokenizer_config.json");
  const settings = fileSize(settingsFile) === undefined ? {} : parse(settingsFile, settingsSchema);
  const tokens = tokensOf(tokenizer, { file, size: config.vocabSize });
  const bytes = tokenizer.model.byte_fallback === true;
  return new Map([
    ...bytes ? piecesMetadata(tokenizer, tokens) : mergesMetadata(tokenizer, file),
    ["tokenizer.ggml.tokens", list("string", tokens.map(({ content }) => content))],
    ["tokenizer.ggml.token_type", list("i32", tokens.map(({ kind }) => kind))],
    ...specialIds(tokens, { tokenizer, settings, config }),
    ...edges(tokenizer),
    ...template(folder, settings),
  ]);
}

function parse<T>(file: string, schema: z.ZodType<T>): T {
  const json = readJson(file, { code: "tokenizer-invalid", maxBytes: MAX_TOKENIZER_BYTES });
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PacacError("tokenizer-invalid", `Cannot use tokenizer: ${issue?.message ?? ""}`, {
    place: { file, field: issue?.path.join(".") ?? "" },
    remedy: "GGUF is written for BPE tokenizers as transformers' save_pretrained writes them",
  });
}

interface Token {
  readonly content: string;
  readonly kind: number;
}

// Ids of the embedding that no token has are filled up: the file must have a token for each row.
function tokensOf(
  { model, added_tokens: added }: TokenizerJson,
  { file, size }: { readonly file: string; readonly size: number },
): Token[] {
  const tokens: (Token | undefined)[] = new Array(size).fill(undefined);
  const put = (at: number, token: Token) => {
    if (at < size) {
      tokens[at] = token;
      return;
    }
    const state = `token ${at} is beyond the model's ${size}`;
    throw new PacacError("tokenizer-invalid", `Cannot use tokenizer: ${state}`, {
      place: { file, field: token.content },
      remedy: "use the tokenizer that the model was published with",
    });
  };
  for (const [content, at] of Object.entries(model.vocab)) {
    put(at, { content, kind: kindOf(content, model) });
  }
  for (const { id: at, content, special } of added) {
    const isUnknown = content === model.unk_token && model.byte_fallback === true;
    const kind = special ? TOKEN_KINDS.control : TOKEN_KINDS.userDefined;
    put(at, { content, kind: isUnknown ? TOKEN_KINDS.unknown : kind });
  }
  return tokens.map((token, i) => token ?? { content: `[PAD${i}]`, kind: TOKEN_KINDS.unused });
}

function kindOf(content: string, model: TokenizerJson["model"]): number {
  if (model.byte_fallback !== true) return TOKEN_KINDS.normal;
  if (content === model.unk_token) return TOKEN_KINDS.unknown;
  return /^<0x[0-9A-F]{2}>$/.test(content) ? TOKEN_KINDS.byte : TOKEN_KINDS.normal;
}

type Entry = readonly [string, GgufValue];

function mergesMetadata(tokenizer: TokenizerJson, file: string): Entry[] {
  const pre = preTokenizerName(tokenizer.pre_tokenizer, tokenizer.normalizer);
  if (pre === undefined) {
    const message = "Cannot write tokenizer: GGUF's name for its way to cut text is not known";
    throw new PacacError("tokenizer-invalid", message, {
      place: { file, field: "pre_tokenizer" },
      remedy: "merge to safetensors and convert the folder with llama.cpp's own script",
    });
  }
  const merges = tokenizer.model.merges.map((pair) =>
    typeof pair === "string" ? pair : pair.join(" ")
  );
  return [
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text(pre)],
    ["tokenizer.ggml.merges", list("string", merges)],
  ];
}

function piecesMetadata({ model, normalizer }: TokenizerJson, tokens: readonly Token[]): Entry[] {
  const ranks = new Map<string, number>();
  model.merges.forEach((pair, rank) => {
    const whole = typeof pair === "string" ? pair.replace(" ", "") : pair.join("");
    if (!ranks.has(whole)) ranks.set(whole, rank);
  });
  // What no merge makes comes after all that one makes, as single characters do in SentencePiece.
  const last = model.merges.length;
  const scores = tokens.map(({ content, kind }, i) =>
    kind === TOKEN_KINDS.normal ? -(ranks.get(content) ?? last + i) : 0
  );
  const prepends = JSON.stringify(normalizer ?? null).includes('"Prepend"');
  return [
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.pre", text("default")],
    ["tokenizer.ggml.scores", list("f32", scores)],
    ["tokenizer.ggml.add_space_prefix", flag(prepends)],
  ];
}

// Names of tokenizer_config.json go before ids of config.json.
function specialIds(
  tokens: readonly Token[],
  { tokenizer, settings, config }: {
    readonly tokenizer: TokenizerJson;
    readonly settings: Settings;
    readonly config: LlamaConfig;
  },
): Entry[] {
  const idOf = (token: z.infer<typeof named>, otherwise?: number): number | undefined => {
    const content = typeof token === "string" ? token : token?.content;
    const at = content === undefined ? -1 : tokens.findIndex((one) => one.content === content);
    return at < 0 ? otherwise : at;
  };
  const ids: [string, number | undefined][] = [
    ["bos", idOf(settings.bos_token, config.bosTokenId)],
    ["eos", idOf(settings.eos_token, config.eosTokenIds[0])],
    ["unknown", idOf(settings.unk_token ?? tokenizer.model.unk_token)],
    ["padding", idOf(settings.pad_token)],
  ];
  return ids.flatMap(([name, at]): Entry[] =>
    at === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, u32(at)]]
  );
}

// What the tokenizer adds around a text of its own accord.
function edges({ post_processor: post }: TokenizerJson): Entry[] {
  const processors = z.looseObject({ processors: z.array(z.unknown()) }).safeParse(post);
  const all = processors.success ? processors.data.processors : [post];
  const single = all.map((one) => postSchema.safeParse(one))
    .find(({ success }) => success)?.data?.single ?? [];
  return [
    ["tokenizer.ggml.add_bos_token", flag(single.at(0)?.SpecialToken !== undefined)],
    [
      "tokenizer.ggml.add_eos_token",
      flag(single.length > 1 && single.at(-1)?.SpecialToken !== undefined),
    ],
  ];
}

// A chat_template.jinja goes before the settings' text.
function template(folder: string, { chat_template: inSettings }: Settings): Entry[] {
  const file = join(folder, "chat_template.jinja");
  const size = fileSize(file);
  if (size !== undefined && size < 1 << 20) {
    return [["tokenizer.chat_template", text(withFile(file, () => Deno.readTextFileSync(file)))]];
  }
  return typeof inSettings === "string" ? [["tokenizer.chat_template", text(inSettings)]] : [];
}
