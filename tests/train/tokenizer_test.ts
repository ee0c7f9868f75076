import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadTokenizer, type Message } from "../../src/train/tokenizer.ts";
import { smallTokenizer, tokenizerFolder } from "./small_tokenizer.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const shared = Deno.env.get("PACAC_SHARED") ?? join(root, "../shared");
const smollm2 = join(shared, "models/smollm2-135m-instruct");
const ignore = !existsSync(join(smollm2, "tokenizer.json"));

interface Golden {
  readonly encode: { text: string; ids: number[] }[];
  readonly decode: { ids: number[]; text: string }[];
  readonly chat: { messages: Message[]; text: string; generation_prompt: string; ids: number[] }[];
}
const golden: Golden = JSON.parse(readFileSync(join(root, "tests/golden/text.json"), "utf8"));

Deno.test({
  name: "SmolLM2's tokenizer encodes, decodes and writes conversations as transformers does",
  ignore,
  async fn() {
    const tokenizer = await loadTokenizer(smollm2);
    for (const { text, ids } of golden.encode) deepEqual([...tokenizer.encode(text)], ids, text);
    for (const { text, ids } of golden.decode) equal(tokenizer.decode(ids), text);
    for (const { messages, text, generation_prompt, ids } of golden.chat) {
      equal(tokenizer.chat(messages), text);
      equal(tokenizer.chat(messages.slice(0, -1), { generationPrompt: true }), generation_prompt);
      deepEqual([...tokenizer.encode(text)], ids);
    }
    deepEqual([tokenizer.bosId, tokenizer.eosId, tokenizer.padId, tokenizer.addsBos], [
      1,
      2,
      2,
      false,
    ]);
    equal(tokenizer.vocabSize, 49152);
  },
});

const hi = [{ role: "user", content: "hi" }];

Deno.test("loadTokenizer() takes special tokens as text and as object", async () => {
  const tokenizer = await smallTokenizer();
  equal(tokenizer.decode([tokenizer.bosId ?? -1]), "<|bos|>");
  equal(tokenizer.decode([tokenizer.eosId ?? -1]), "<|end|>");
  equal(tokenizer.decode(tokenizer.encode("the cat <|end|>"), { skipSpecial: true }), "the cat ");
});

Deno.test("loadTokenizer() prefers chat_template.jinja to the config", async () => {
  const folder = await tokenizerFolder();
  await writeFile(
    join(folder, "chat_template.jinja"),
    "file {{ messages[0].content }}{{ eos_token }}",
  );
  equal((await loadTokenizer(folder)).chat(hi), "file hi<|end|>");
});

Deno.test("loadTokenizer() takes the template named default from a list", async () => {
  const list = [{ name: "tool_use", template: "tools" }, { name: "default", template: "yes" }];
  equal((await smallTokenizer(list)).chat(hi), "yes");
});

Deno.test("chat() says what the template raises", async () => {
  const tokenizer = await smallTokenizer("{{ raise_exception('only system first') }}");
  throws(() => tokenizer.chat(hi), { code: "tokenizer-invalid", message: /only system first/ });
});

Deno.test("chat() knows strftime_now", async () => {
  const tokenizer = await smallTokenizer("{{ strftime_now('%Y') }}");
  equal(Number(tokenizer.chat(hi)) >= 2024, true);
});

Deno.test("chat() without a template is an error with a remedy", async () => {
  const tokenizer = await smallTokenizer(null);
  equal(tokenizer.hasChatTemplate, false);
  throws(() => tokenizer.chat(hi), { code: "tokenizer-invalid", message: /there is none/ });
});

Deno.test("loadTokenizer() refuses folders without a tokenizer, JSON that is none, and broken templates", async () => {
  await rejects(loadTokenizer("/nowhere"), { code: "tokenizer-invalid", message: /no such file/ });
  const folder = await tokenizerFolder();
  await writeFile(join(folder, "tokenizer.json"), "{");
  await rejects(loadTokenizer(folder), { code: "tokenizer-invalid", message: /parse JSON/ });
  await writeFile(join(folder, "tokenizer.json"), "{}");
  await rejects(loadTokenizer(folder), { code: "tokenizer-invalid" });
  const broken = await tokenizerFolder("{% for %}");
  await rejects(loadTokenizer(broken), { code: "tokenizer-invalid", message: /chat template/ });
});
