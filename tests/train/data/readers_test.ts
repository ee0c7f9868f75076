import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { readAlpaca } from "../../../src/train/data/alpaca.ts";
import { supervise } from "../../../src/train/data/chat.ts";
import { detectFormat } from "../../../src/train/data/detect.ts";
import type { Document } from "../../../src/train/data/document.ts";
import { readMessages } from "../../../src/train/data/messages.ts";
import { loadData } from "../../../src/train/data/mod.ts";
import { readText } from "../../../src/train/data/text.ts";
import { loadTokenizer, type Message, type Tokenizer } from "../../../src/train/tokenizer.ts";
import { smallTokenizer } from "../small_tokenizer.ts";

const tokenizer = await smallTokenizer();
const withoutTemplate = await smallTokenizer(null);

/** The document's text with what is trained on in brackets. */
function marked({ ids, supervised }: Document, by: Tokenizer = tokenizer): string {
  let text = "";
  ids.forEach((id, i) => {
    if (supervised[i] === 1 && supervised[i - 1] !== 1) text += "[";
    text += by.decode([id]);
    if (supervised[i] === 1 && supervised[i + 1] !== 1) text += "]";
  });
  return text;
}
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

Deno.test("supervise() marks each answer and its end-of-turn token, nothing else", () => {
  const messages = [user("1"), assistant("one"), user("2"), assistant("the two")];
  equal(
    marked(supervise({ messages, place: {} }, tokenizer)),
    "<|start|>user\n1<|end|>\n<|start|>assistant\n[one<|end|>]\n" +
      "<|start|>user\n2<|end|>\n<|start|>assistant\n[the two<|end|>]\n",
  );
});

Deno.test("supervise() cuts where an answer's space would merge with the prompt's line break", () => {
  const document = supervise({ messages: [user("x"), assistant(" y")], place: {} }, tokenizer);
  equal(marked(document), "<|start|>user\nx<|end|>\n<|start|>assistant\n[ y<|end|>]\n");
});

Deno.test("supervise() marks exactly the answers, whatever is in them", () => {
  const text = fc.string({
    unit: fc.constantFrom(..."the a\n <|end|>start"),
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }), (turns) => {
    const messages = turns.flatMap(([q, a]) => [user(q), assistant(a)]);
    const { ids, supervised } = supervise({ messages, place: {} }, tokenizer);
    equal(tokenizer.decode(ids), tokenizer.chat(messages));
    const runs: string[] = [];
    ids.forEach((id, i) => {
      if (supervised[i] === 0) return;
      if (i === 0 || supervised[i - 1] === 0) runs.push("");
      runs[runs.length - 1] += tokenizer.decode([id]);
    });
    deepEqual(runs, turns.map(([, a]) => `${a}<|end|>`));
  }));
});

Deno.test("supervise() refuses a template that writes earlier turns another way, and shows where", async () => {
  // Earlier answers lose their text, as reasoning models' templates do.
  const forgetful = await smallTokenizer(
    "{% for m in messages %}{{ m.role }}:{% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %};{% endfor %}" +
      "{% if add_generation_prompt %}assistant:{% endif %}",
  );
  const messages = [user("a"), assistant("secret"), user("b"), assistant("c")];
  throws(() => supervise({ messages, place: { file: "d.jsonl", line: 3 } }, forgetful), {
    code: "data-invalid",
    message: /secret/,
    place: { file: "d.jsonl", line: 3, field: "messages[1]" },
  });
});

const root = fileURLToPath(new URL("../../../", import.meta.url));
const smollm2 = join(
  Deno.env.get("PACAC_SHARED") ?? join(root, "../shared"),
  "models/smollm2-135m-instruct",
);

Deno.test({
  name: "supervise() marks the answers of SmolLM2's own template, with merged spaces too",
  ignore: !existsSync(join(smollm2, "tokenizer.json")),
  async fn() {
    const real = await loadTokenizer(smollm2);
    const golden: { chat: { messages: Message[]; text: string; ids: number[] }[] } = JSON.parse(
      readFileSync(join(root, "tests/golden/text.json"), "utf8"),
    );
    for (const { messages, text } of golden.chat) {
      const document = supervise({ messages, place: {} }, real);
      equal(real.decode(document.ids), text);
      const learnt = marked(document, real).match(/(?<=\[)[^\]]*(?=\])/g);
      const answers = messages.filter(({ role }) => role === "assistant");
      deepEqual(learnt, answers.map(({ content }) => `${content}<|im_end|>`));
    }
    // Where nothing merges, the ids are those of the whole text.
    for (const { messages, ids } of golden.chat.slice(0, 2)) {
      deepEqual([...supervise({ messages, place: {} }, real).ids], ids);
    }
  },
});

Deno.test("readAlpaca() uses the chat template, input behind the instruction", () => {
  const rows = [{ instruction: "Add", input: "1+1", output: "2" }, {
    instruction: "Say",
    output: "no",
  }];
  const [first, second] = readAlpaca(JSON.stringify(rows), "d.json", tokenizer);
  equal(marked(first), "<|start|>user\nAdd\n\n1+1<|end|>\n<|start|>assistant\n[2<|end|>]\n");
  equal(marked(second), "<|start|>user\nSay<|end|>\n<|start|>assistant\n[no<|end|>]\n");
});

Deno.test("readAlpaca() writes the classic prompt where there is no template", () => {
  const rows = [{ instruction: "Add", input: "1+1", output: "2" }];
  const [document] = readAlpaca(JSON.stringify(rows), "d.json", withoutTemplate);
  const text = marked(document, withoutTemplate);
  ok(text.startsWith("Below is an instruction that describes a task, paired with an input"), text);
  ok(text.endsWith("### Instruction:\nAdd\n\n### Input:\n1+1\n\n### Response:\n[2<|end|>]"), text);
});

Deno.test("readText() trains on everything, in stretches of a row", () => {
  const documents = readText("the cat sat", withoutTemplate, 4);
  equal(documents.map((d) => withoutTemplate.decode(d.ids)).join(""), "the cat sat<|end|>");
  ok(documents.every(({ supervised, ids }) => supervised.every((s) => s === 1) && ids.length <= 4));
});

Deno.test.each([
  { text: '[{"instruction": "a", "output": "b"}]', format: "alpaca" },
  { text: '\n{"messages": []}\n', format: "messages" },
  { text: '[{"messages": []}]', format: "messages" },
  { text: "[1] Anarchism is", format: "text" },
  { text: "{ not JSON", format: "text" },
  { text: "", format: "text" },
])("detectFormat() takes $text for $format", ({ text, format }) => {
  equal(detectFormat(text, "d"), format);
});

Deno.test.each([
  {
    what: "another kind of rows",
    text: '[{"prompt": 1}]',
    place: { file: "d", field: "[0]" },
    message: /fields prompt/,
  },
  { what: "no rows", text: "[]", place: { file: "d" }, message: /no row/ },
  { what: "broken JSON", text: '[{"a": 1},', place: { file: "d" }, message: /parse JSON/ },
])("detectFormat() refuses $what", ({ text, place, message }) => {
  throws(() => detectFormat(text, "d"), { code: "data-invalid", place, message });
});

Deno.test.each([
  {
    what: "a missing output",
    rows: '[{"instruction":"a","output":"b"},{"instruction":"a"}]',
    field: "[1].output",
    message: /"output" is missing/,
  },
  {
    what: "a number for a text",
    rows: '[{"instruction":3,"output":"b"}]',
    field: "[0].instruction",
    message: /is a number/,
  },
  {
    what: "a row that is no object",
    rows: '[{"instruction":"a","output":"b"},"x"]',
    field: "[1]",
    message: /a string/,
  },
])("readAlpaca() refuses $what", ({ rows, field, message }) => {
  throws(() => readAlpaca(rows, "d", tokenizer), {
    code: "data-invalid",
    place: { file: "d", field },
    message,
  });
});

Deno.test.each([
  { what: "no messages", row: "{}", field: "messages", message: /missing/ },
  { what: "no turn", row: '{"messages":[]}', field: "messages", message: /empty/ },
  {
    what: "no answer",
    row: '{"messages":[{"role":"user","content":"a"}]}',
    field: "messages",
    message: /assistant/,
  },
  {
    what: "a turn without text",
    row: '{"messages":[{"role":"user","content":null}]}',
    field: "messages[0].content",
    message: /null/,
  },
  {
    what: "a turn that is no object",
    row: '{"messages":[[]]}',
    field: "messages[0]",
    message: /an array/,
  },
])("readMessages() refuses $what and names the line", ({ row, field, message }) => {
  const good = JSON.stringify({ messages: [user("a"), assistant("b")] });
  const text = `${good}\n\n${row}\n`;
  throws(() => readMessages(text, "d", tokenizer), {
    code: "data-invalid",
    place: { file: "d", line: 3, field },
    message,
  });
});

Deno.test("loadData() detects, packs and counts; an override is obeyed", async () => {
  const file = join(await mkdtemp(join(tmpdir(), "pacac-data-")), "d.jsonl");
  const row = JSON.stringify({ messages: [user("a"), assistant("b")] });
  await writeFile(file, `${row}\n${row}\n`);
  const data = await loadData(file, { tokenizer, seqLen: 80 });
  equal(data.format, "messages");
  equal(data.stats.documents, 2);
  equal(data.stats.supervised, 4);
  equal(data.rows, 1);
  equal((await loadData(file, { tokenizer, seqLen: 80, format: "text" })).format, "text");
  await rejects(loadData(`${file}.not`, { tokenizer, seqLen: 80 }), { code: "io" });
  await writeFile(file, Uint8Array.of(0x61, 0xff, 0xfe));
  await rejects(loadData(file, { tokenizer, seqLen: 80 }), {
    code: "data-invalid",
    message: /UTF-8|utf-8|Cannot read/,
  });
});
