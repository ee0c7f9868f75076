/**
 * A model's tokenizer and chat template, from the files that Hugging Face models carry.
 * @module
 */
import { Template } from "@huggingface/jinja";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { PacacError } from "../errors.ts";
import { isObject, type JsonObject, messageOf } from "./json.ts";

/** One turn of a conversation. */
export interface Message {
  /** `system`, `user` or `assistant`, as the chat template knows them. */
  readonly role: string;
  /** What was said. */
  readonly content: string;
  /** Tools that the assistant calls, each {type: "function", function: {name, arguments}}. */
  readonly tool_calls?: readonly Readonly<Record<string, unknown>>[];
  /** Who speaks, or the tool whose result it is. */
  readonly name?: string;
}

/** What {@linkcode Tokenizer.chat} can be told. */
export interface ChatOptions {
  /** Whether the text ends where the assistant's answer begins. */
  readonly generationPrompt?: boolean;
  /** Descriptions of tools, for templates that know them. */
  readonly tools?: readonly unknown[];
}

/** Text to token ids and back, and conversations to text. */
export class Tokenizer {
  /** Ids of the special tokens that tokenizer_config.json names. */
  readonly bosId: number | undefined;
  /** Id of the end-of-text token. */
  readonly eosId: number | undefined;
  /** Id of the padding token. */
  readonly padId: number | undefined;
  /** Whether the tokenizer puts the begin-of-text token before a text of its own accord. */
  readonly addsBos: boolean;
  /** One more than the highest id. */
  readonly vocabSize: number;
  /** A hash of the files that it was loaded from, hexadecimal; "" where it was not loaded from files. */
  readonly fingerprint: string;
  readonly #inner: HuggingFaceTokenizer;
  readonly #template: Template | undefined;
  readonly #templateText: string;
  readonly #specials: JsonObject;
  readonly #folder: string;

  /**
   * Wraps an encoder with what the tokenizer's files say of it.
   * @param inner Encoder and decoder
   * @param given The parsed tokenizer_config.json, the chat template where there is one and its text, a hash of the files, the
   * folder for messages
   */
  constructor(
    inner: HuggingFaceTokenizer,
    given: {
      readonly config: JsonObject;
      readonly template?: Template;
      readonly templateText?: string;
      readonly fingerprint?: string;
      readonly folder: string;
    },
  ) {
    this.#inner = inner;
    this.#template = given.template;
    this.#templateText = given.templateText ?? "";
    this.fingerprint = given.fingerprint ?? "";
    this.#folder = given.folder;
    this.#specials = specialTokens(given.config);
    this.bosId = this.#idOf("bos_token");
    this.eosId = this.#idOf("eos_token");
    this.padId = this.#idOf("pad_token");
    const [first] = inner.encode("a").ids;
    this.addsBos = this.bosId !== undefined && first === this.bosId;
    let highest = -1;
    for (const id of inner.get_vocab(true).values()) highest = Math.max(highest, id);
    this.vocabSize = highest + 1;
  }

  /**
   * Token ids of a text. Special tokens written in the text are recognised, as in transformers.
   * @param text Any text
   * @param options Whether begin-of-text and the like are added; they are not by default
   */
  encode(text: string, options: { readonly specialTokens?: boolean } = {}): Int32Array {
    const { ids } = this.#inner.encode(text, {
      add_special_tokens: options.specialTokens ?? false,
    });
    return Int32Array.from(ids);
  }

  /**
   * The text of token ids.
   * @param ids Token ids
   * @param options Whether special tokens are left out; they are kept by default
   */
  decode(ids: ArrayLike<number>, options: { readonly skipSpecial?: boolean } = {}): string {
    if (ids.length === 0) return "";
    return this.#inner.decode(Array.from(ids), {
      skip_special_tokens: options.skipSpecial ?? false,
      clean_up_tokenization_spaces: false,
    });
  }

  /** Whether conversations can be made into text. */
  get hasChatTemplate(): boolean {
    return this.#template !== undefined;
  }

  /**
   * Whether the chat template's text has a name in it, as `tools` of those that know tools.
   * @param name The name
   */
  templateReads(name: string): boolean {
    return new RegExp(`\\b${name}\\b`).test(this.#templateText);
  }

  /**
   * The text of a conversation by the model's chat template.
   * @param messages The turns
   * @param options Whether the text invites an answer
   * @throws {PacacError} tokenizer-invalid, also where the template refuses the conversation
   */
  chat(messages: readonly Message[], options: ChatOptions = {}): string {
    if (this.#template === undefined) {
      throw new PacacError("tokenizer-invalid", "Cannot apply a chat template: there is none", {
        place: { file: this.#folder },
        remedy: "put the model's chat_template.jinja into the folder, or use alpaca or text data",
      });
    }
    try {
      return this.#template.render({
        ...this.#specials,
        messages: messages.map((message) => ({ ...message })),
        ...(options.tools === undefined ? {} : { tools: options.tools }),
        add_generation_prompt: options.generationPrompt ?? false,
      });
    } catch (cause) {
      throw new PacacError(
        "tokenizer-invalid",
        `Cannot apply the chat template: ${messageOf(cause)}`,
        {
          place: { file: this.#folder },
          remedy: "check that the turns come in an order that this model's template accepts",
          cause,
        },
      );
    }
  }

  #idOf(name: string): number | undefined {
    const token = this.#specials[name];
    return typeof token === "string" ? this.#inner.token_to_id(token) : undefined;
  }
}

/**
 * Loads tokenizer.json, tokenizer_config.json and the chat template of a folder. A chat_template.jinja goes before the
 * config's `chat_template`, which is a text or a list of named ones ("default" is taken).
 * @param folder A model's folder
 * @throws {PacacError} tokenizer-invalid
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const file = join(folder, "tokenizer.json");
  const description = await readJson(file);
  if (description === undefined) {
    throw new PacacError("tokenizer-invalid", "Cannot load the tokenizer: there is no such file", {
      place: { file },
      remedy: "put the model's tokenizer.json and tokenizer_config.json there",
    });
  }
  const config = await readJson(join(folder, "tokenizer_config.json")) ?? {};
  const source = await readText(join(folder, "chat_template.jinja")) ?? templateOf(config);
  const template = source === undefined
    ? {}
    : { template: parseTemplate(source, folder), templateText: source };
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([description, config, source ?? null])).digest("hex");
  try {
    const inner = new HuggingFaceTokenizer(description, config);
    return new Tokenizer(inner, { config, folder, fingerprint, ...template });
  } catch (cause) {
    throw new PacacError("tokenizer-invalid", `Cannot load the tokenizer: ${messageOf(cause)}`, {
      place: { file },
      remedy: "use the file that transformers' save_pretrained writes",
      cause,
    });
  }
}

function parseTemplate(source: string, folder: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new PacacError(
      "tokenizer-invalid",
      `Cannot parse the chat template: ${messageOf(cause)}`,
      { place: { file: folder }, remedy: "mend the Jinja text, or remove it", cause },
    );
  }
}

/** The `chat_template` of a config: a text, or a list of {name, template}. */
function templateOf(config: JsonObject): string | undefined {
  const template = config.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const entries: unknown[] = template;
  const named = entries.filter(isObject);
  const chosen = named.find(({ name }) => name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}

/** bos_token and the like, each a text or {content}. Templates read them by these names. */
function specialTokens(config: JsonObject): JsonObject {
  const found: [string, string][] = [];
  for (const name of ["bos_token", "eos_token", "pad_token", "unk_token"]) {
    const token = config[name];
    const text = isObject(token) ? token.content : token;
    if (typeof text === "string") found.push([name, text]);
  }
  return Object.fromEntries(found);
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new PacacError("io", `Cannot read the file: ${messageOf(cause)}`, {
      place: { file },
      cause,
    });
  }
}

async function readJson(file: string): Promise<JsonObject | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PacacError("tokenizer-invalid", `Cannot parse JSON: ${messageOf(cause)}`, {
      place: { file },
      remedy: "fetch the file again",
      cause,
    });
  }
  if (isObject(value)) return value;
  throw new PacacError("tokenizer-invalid", "Cannot use the file: it holds no JSON object", {
    place: { file },
    remedy: "fetch the file again",
  });
}
