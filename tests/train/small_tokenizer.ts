/** A tokenizer made in the test: a byte-level BPE of ASCII characters and a few merges, with a chat template of its own. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadTokenizer, type Tokenizer } from "../../src/train/tokenizer.ts";

/** Template in the style of ChatML. */
export const CHAT_TEMPLATE =
  "{% for m in messages %}{{ '<|start|>' + m['role'] + '\n' + m['content'] + '<|end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}";

/** Byte-level BPE writes a space as Ġ and a line break as Ċ. */
const characters = [..."ĊĠ"];
for (let code = 33; code < 127; code++) characters.push(String.fromCharCode(code));
const merges = ["Ċ Ġ", "t h", "th e", "Ġ a"];

/** The files' content, to write or to change. */
export function tokenizerFiles(
  template: unknown = CHAT_TEMPLATE,
): { tokenizer: object; config: object } {
  const tokens = [...characters, ...merges.map((merge) => merge.replace(" ", ""))];
  const special = ["<|bos|>", "<|start|>", "<|end|>"];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const added = special.map((content, i) => ({
    id: tokens.length + i,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  };
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: { type: "BPE", dropout: null, unk_token: null, byte_fallback: false, vocab, merges },
    },
    config: {
      bos_token: "<|bos|>",
      eos_token: { content: "<|end|>" },
      pad_token: "<|end|>",
      ...(template === undefined ? {} : { chat_template: template }),
    },
  };
}

/** Writes the files into a new folder. */
export async function tokenizerFolder(template: unknown = CHAT_TEMPLATE): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pacac-tokenizer-"));
  const { tokenizer, config } = tokenizerFiles(template);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return folder;
}

/** A loaded one. */
export async function smallTokenizer(template: unknown = CHAT_TEMPLATE): Promise<Tokenizer> {
  return await loadTokenizer(await tokenizerFolder(template));
}
