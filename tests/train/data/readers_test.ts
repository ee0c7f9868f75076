import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { readAlpaca } from "../../../src/train/data/alpaca.ts";
import { supervise } from "../../../src/train/data/chat.ts";
import { readCompletion } from "../../../src/train/data/completion.ts";
import { formatOf, requireFormat } from "../../../src/train/data/formats.ts";
import { readMessages } from "../../../src/train/data/messages.ts";
import { mmluPrompt, readMmlu } from "../../../src/train/data/mmlu.ts";
import { renameFields } from "../../../src/train/data/rows.ts";
import { readSharegpt } from "../../../src/train/data/sharegpt.ts";
import { readText, stretches } from "../../../src/train/data/text.ts";
import { loadTokenizer, type Message } from "../../../src/train/tokenizer.ts";
import { CHAT_TEMPLATE, smallTokenizer } from "../small_tokenizer.ts";
import { marked as markedBy, rowOf } from "./support.ts";

const tokenizer = await smallTokenizer();
const withoutTemplate = await smallTokenizer(null);
const context = { tokenizer, seqLen: 64 };
const marked = (document: Parameters<typeof markedBy>[0], by = tokenizer) => markedBy(document, by);

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

Deno.test("supervise() marks each answer and its end-of-turn token, nothing else", () => {
  const messages = [user("1"), assistant("one"), user("2"), assistant("the two")];
  equal(
    marked(supervise({ messages, place: {} }, { tokenizer })),
    "<|start|>user\n1<|end|>\n<|start|>assistant\n[one<|end|>]\n" +
      "<|start|>user\n2<|end|>\n<|start|>assistant\n[the two<|end|>]\n",
  );
});

Deno.test("supervise() cuts where an answer's space would merge with the prompt's line break", () => {
  const document = supervise({ messages: [user("x"), assistant(" y")], place: {} }, { tokenizer });
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
    const { ids, supervised } = supervise({ messages, place: {} }, { tokenizer });
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
  throws(
    () => supervise({ messages, place: { file: "d.jsonl", line: 3 } }, { tokenizer: forgetful }),
    {
      code: "data-invalid",
      message: /secret/,
      place: { file: "d.jsonl", line: 3, field: "messages[1]" },
    },
  );
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
      const document = supervise({ messages, place: {} }, { tokenizer: real });
      equal(real.decode(document.ids), text);
      const learnt = marked(document, real).match(/(?<=\[)[^\]]*(?=\])/g);
      const answers = messages.filter(({ role }) => role === "assistant");
      deepEqual(learnt, answers.map(({ content }) => `${content}<|im_end|>`));
    }
    // Where nothing merges, the ids are those of the whole text.
    for (const { messages, ids } of golden.chat.slice(0, 2)) {
      deepEqual([...supervise({ messages, place: {} }, { tokenizer: real }).ids], ids);
    }
  },
});

Deno.test("supervise() marks the last answer alone, of a template that forgets the others too", async () => {
  const forgetful = await smallTokenizer(
    "{% for m in messages %}{{ m.role }}:{% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %};{% endfor %}" +
      "{% if add_generation_prompt %}assistant:{% endif %}",
  );
  const messages = [user("a"), assistant("b"), user("c"), assistant("d")];
  const options = { tokenizer: forgetful, trainOn: "last" } as const;
  equal(
    marked(supervise({ messages, place: {} }, options), forgetful),
    "user:a;assistant:;user:c;assistant:[d;]",
  );
  throws(() => supervise({ messages, place: {} }, { tokenizer: forgetful }), {
    code: "data-invalid",
    message: /"user:a;assistant:b;" before it is given, and "user:a;assistant:;user:c;a/,
  });
});

Deno.test("supervise() marks every token when everything is trained on", () => {
  const messages = [user("a"), assistant("b")];
  const { ids, supervised } = supervise(
    { messages, place: {} },
    { tokenizer, trainOn: "everything" },
  );
  equal(tokenizer.decode(ids), tokenizer.chat(messages));
  ok(supervised.every((mark) => mark === 1));
});

Deno.test("supervise() learns the last answer as if it were the only one, whatever is said", () => {
  const text = fc.string({ unit: fc.constantFrom(..."the a\n"), minLength: 1, maxLength: 9 });
  const turns = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(turns, (turns) => {
      const messages = turns.flatMap(([q, a]) => [user(q), assistant(a)]);
      const all = supervise({ messages, place: {} }, { tokenizer });
      const last = supervise({ messages, place: {} }, { tokenizer, trainOn: "last" });
      equal(tokenizer.decode(last.ids), tokenizer.decode(all.ids));
      const learnt = tokenizer.decode(last.ids.filter((_, t) => last.supervised[t] === 1));
      equal(learnt, `${turns[turns.length - 1][1]}<|end|>`);
    }),
    { seed: 11 },
  );
});

Deno.test("readAlpaca() uses the chat template, input behind the instruction", () => {
  const [first] = readAlpaca(rowOf({ instruction: "Add", input: "1+1", output: "2" }), context);
  const [second] = readAlpaca(rowOf({ instruction: "Say", input: null, output: "no" }), context);
  equal(marked(first), "<|start|>user\nAdd\n\n1+1<|end|>\n<|start|>assistant\n[2<|end|>]\n");
  equal(marked(second), "<|start|>user\nSay<|end|>\n<|start|>assistant\n[no<|end|>]\n");
});

Deno.test("readAlpaca() writes the classic prompt where there is no template", () => {
  const row = rowOf({ instruction: "Add", input: "1+1", output: "2" });
  const [document] = readAlpaca(row, { tokenizer: withoutTemplate, seqLen: 64 });
  const text = marked(document, withoutTemplate);
  ok(text.startsWith("Below is an instruction that describes a task, paired with an input"), text);
  ok(text.endsWith("### Instruction:\nAdd\n\n### Input:\n1+1\n\n### Response:\n[2<|end|>]"), text);
});

Deno.test("readText() trains on everything, in stretches of a row", () => {
  const small = { tokenizer: withoutTemplate, seqLen: 4 };
  const documents = readText(rowOf({ text: "the cat sat" }), small);
  equal(documents.map((d) => withoutTemplate.decode(d.ids)).join(""), "the cat sat<|end|>");
  ok(documents.every(({ supervised, ids }) => supervised.every((s) => s === 1) && ids.length <= 4));
  const [middle] = stretches({ text: "cat", first: false, last: false }, small);
  equal(withoutTemplate.decode(middle.ids), "cat");
});

Deno.test("readCompletion() puts texts together as they are", () => {
  const [document] = readCompletion(rowOf({ prompt: "1+1=", completion: " 2" }), context);
  equal(marked(document), "1+1=[ 2<|end|>]");
  const [all] = readCompletion(rowOf({ prompt: "a", completion: "b" }), {
    ...context,
    trainOn: "everything",
  });
  equal(marked(all), "[ab<|end|>]");
});

Deno.test("readCompletion() of turns trains on those of the completion", () => {
  const prompt = [user("a"), assistant("b"), user("c")];
  const [document] = readCompletion(rowOf({ prompt, completion: [assistant("d")] }), context);
  ok(
    marked(document).endsWith(
      "b<|end|>\n<|start|>user\nc<|end|>\n<|start|>assistant\n[d<|end|>]\n",
    ),
  );
  equal(marked(document).split("[").length, 2);
});

const call = { name: "sum", arguments: '{"a": 1}' };
const withTools = {
  messages: [
    user("?"),
    { role: "assistant", content: null, tool_calls: [{ type: "function", function: call }] },
    { role: "tool", content: "3" },
    { role: "assistant", content: [{ type: "text", text: "It " }, { type: "text", text: "is" }] },
  ],
  tools: [{ type: "function", function: { name: "sum" } }],
};

Deno.test("readMessages() writes tools as text for a template that does not know them", () => {
  const [document] = readMessages(rowOf(withTools), context);
  const text = marked(document);
  ok(text.startsWith("<|start|>system\nThese tools can be called."), text);
  ok(text.includes('</tool_call>.\n{"type":"function","function":{"name":"sum"}}<|end|>'), text);
  ok(text.includes('[<tool_call>\n{"name":"sum","arguments":{"a":1}}\n</tool_call><|end|>]'), text);
  ok(text.includes("tool\n3<|end|>\n<|start|>assistant\n[It is<|end|>]"), text);
  const [, ...rest] = withTools.messages;
  const said = [{ role: "system", content: "Be kind." }, withTools.messages[0], ...rest];
  const [second] = readMessages(rowOf({ ...withTools, messages: said }), context);
  ok(marked(second).startsWith("<|start|>system\nBe kind.\n\nThese tools"), marked(second));
});

Deno.test("readMessages() gives tools to a template that knows them, arguments parsed", async () => {
  const knowing = await smallTokenizer(
    "{{ tools | tojson }}{% for m in messages %}<|start|>{{ m.role }}{{ m.content }}" +
      "{% for c in m.tool_calls or [] %}{{ c.function.arguments.a }}{% endfor %}<|end|>{% endfor %}" +
      "{% if add_generation_prompt %}<|start|>assistant{% endif %}",
  );
  const [document] = readMessages(rowOf(withTools), { tokenizer: knowing, seqLen: 64 });
  equal(
    marked(document, knowing),
    '[{"type": "function", "function": {"name": "sum"}}]<|start|>user?<|end|>' +
      "<|start|>assistant[1<|end|>]<|start|>tool3<|end|><|start|>assistant[It is<|end|>]",
  );
});

Deno.test("readMessages() reads turns written as JSON in a cell", () => {
  const [document] = readMessages(
    rowOf({ messages: JSON.stringify([user("a"), assistant("b")]) }),
    context,
  );
  equal(marked(document), "<|start|>user\na<|end|>\n<|start|>assistant\n[b<|end|>]\n");
});

Deno.test("readSharegpt() knows who speaks; calls of tools are answers", () => {
  const conversations = [
    { from: "human", value: "a" },
    { from: "function_call", value: '{"name": "f"}' },
    { from: "observation", value: "1" },
    { from: "gpt", value: "b" },
  ];
  const [document] = readSharegpt(rowOf({ conversations, system: "s", tools: "[]" }), context);
  equal(
    marked(document),
    "<|start|>system\ns<|end|>\n<|start|>user\na<|end|>\n" +
      '<|start|>assistant\n[<tool_call>\n{"name": "f"}\n</tool_call><|end|>]\n' +
      "<|start|>tool\n1<|end|>\n<|start|>assistant\n[b<|end|>]\n",
  );
});

const question = { question: "1+1?", choices: ["0", "2", "3", "4"], answer: 1 };

Deno.test("mmluPrompt() is the benchmark's", () => {
  const example = { question: "0+0?", choices: ["0", "1", "2", "3"], answer: 0 };
  equal(
    mmluPrompt(question, { subject: "abstract_sums", examples: [example] }),
    "The following are multiple choice questions (with answers) about abstract sums.\n\n" +
      "0+0?\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: A\n\n1+1?\nA. 0\nB. 2\nC. 3\nD. 4\nAnswer:",
  );
});

Deno.test.each([
  {
    row: { question: "1+1?", choice0: "0", choice1: "2", choice2: "3", choice3: "4", answer: "1" },
  },
  { row: { question: "1+1?", A: "0", B: "2", C: "3", D: "4", answer: "B" } },
  { row: { question: "1+1?", choices: ["0", "2", "3", "4"], answer: 1 } },
])("readMmlu() trains on the letter: $row", ({ row }) => {
  const [document] = readMmlu(rowOf(row), { ...context, seqLen: 512 });
  ok(marked(document).endsWith("1+1?\nA. 0\nB. 2\nC. 3\nD. 4\nAnswer:[ B<|end|>]"));
});

Deno.test("readMmlu() gives as many examples as fit, five at most, and never the question itself", () => {
  const examples = Array.from({ length: 7 }, (_, i) => ({ ...question, question: `${i}+1?` }));
  const shots = (seqLen: number) => {
    const [document] = readMmlu(rowOf(question as unknown as Record<string, unknown>), {
      tokenizer,
      seqLen,
      examples,
    });
    ok(!marked(document).slice(0, -60).includes("\n1+1?"));
    return marked(document).split("?").length - 2;
  };
  equal(shots(2000), 5);
  const lengths = [100, 150, 200, 250].map(shots);
  deepEqual(lengths, lengths.toSorted((a, b) => a - b));
  ok(lengths[0] < lengths[3] && lengths[3] < 5, `${lengths}`);
});

Deno.test.each([
  { fields: "instruction output", format: "alpaca" },
  { fields: "messages", format: "messages" },
  { fields: "messages prompt completion", format: "messages" },
  { fields: "id conversations", format: "sharegpt" },
  { fields: "prompt completion", format: "completion" },
  { fields: "question choices answer subject", format: "mmlu" },
  { fields: "question A B C D answer", format: "mmlu" },
  { fields: "question answer", format: undefined },
  { fields: "text meta", format: "text" },
])("formatOf() takes $fields for $format", ({ fields, format }) => {
  equal(formatOf(fields.split(" ")), format);
});

Deno.test("requireFormat() names the fields there are", () => {
  throws(() => requireFormat(rowOf({ question: "a", answer: "b" })), {
    code: "data-invalid",
    place: { file: "d", line: 3 },
    message: /fields question, answer/,
  });
});

Deno.test("renameFields() gives fields the format's names, and faults those of the file", () => {
  const map = new Map([["question", "instruction"], ["answer", "output"]]);
  const row = renameFields(rowOf({ question: "Add", answer: 3 }), map);
  throws(() => readAlpaca(row, context), {
    message: /"answer" is a number/,
    place: { file: "d", line: 3, field: "answer" },
  });
  const other = rowOf({ text: "a" });
  equal(renameFields(other, map), other);
  throws(() => renameFields(rowOf({ question: "Add" }), map), {
    place: { file: "d", line: 3, field: "answer" },
    message: /the row has none/,
  });
});

Deno.test.each([
  { what: "a missing output", row: { instruction: "a" }, field: "output", message: /is missing/ },
  {
    what: "a number for a text",
    row: { instruction: 3, output: "b" },
    field: "instruction",
    message: /is a number/,
  },
  {
    what: "an output of the prototype",
    row: JSON.parse('{"instruction":"a","__proto__":{"output":"b"}}'),
    field: "output",
    message: /is missing/,
  },
])("readAlpaca() refuses $what", ({ row, field, message }) => {
  throws(() => readAlpaca(rowOf(row), context), {
    code: "data-invalid",
    place: { file: "d", line: 3, field },
    message,
  });
});

Deno.test.each([
  { what: "no messages", row: {}, field: "messages", message: /missing/ },
  { what: "no turn", row: { messages: [] }, field: "messages", message: /empty/ },
  { what: "no answer", row: { messages: [user("a")] }, field: "messages", message: /assistant/ },
  {
    what: "a turn without text",
    row: { messages: [{ role: "user", content: null }] },
    field: "messages[0].content",
    message: /null/,
  },
  {
    what: "a turn that is no object",
    row: { messages: [[]] },
    field: "messages[0]",
    message: /an array/,
  },
  {
    what: "an image",
    row: { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
    field: "messages[0].content[0]",
    message: /no text/,
  },
  {
    what: "a call without a name",
    row: { messages: [{ role: "assistant", tool_calls: [{}] }] },
    field: "messages[0].tool_calls[0]",
    message: /no name/,
  },
  {
    what: "tools that are no list",
    row: { messages: [user("a"), assistant("b")], tools: { name: "f" } },
    field: "tools",
    message: /an object/,
  },
  {
    what: "broken JSON in a cell",
    row: { messages: "[{" },
    field: "messages",
    message: /parse JSON/,
  },
])("readMessages() refuses $what and names the field", ({ row, field, message }) => {
  throws(() => readMessages(rowOf(row), context), {
    code: "data-invalid",
    place: { file: "d", line: 3, field },
    message,
  });
});

Deno.test.each([
  { what: "a stranger", turn: { from: "cat", value: "x" }, field: ".from", message: /"cat"/ },
  { what: "a turn of null", turn: null, field: "", message: /null/ },
  { what: "no value", turn: { from: "gpt" }, field: ".content", message: /missing/ },
])("readSharegpt() refuses $what", ({ turn, field, message }) => {
  throws(() => readSharegpt(rowOf({ conversations: [turn] }), context), {
    code: "data-invalid",
    place: { file: "d", line: 3, field: `conversations[0]${field}` },
    message,
  });
});

Deno.test.each([
  { what: "an answer E", row: { question: "a", choices: ["1"], answer: "E" }, field: "answer" },
  { what: "three choices", row: { question: "a", choices: ["1"], answer: 0 }, field: "choices" },
  { what: "a missing choice", row: { question: "a", A: "1", answer: "A" }, field: "B" },
])("readMmlu() refuses $what", ({ row, field }) => {
  throws(() => readMmlu(rowOf(row), context), {
    code: "data-invalid",
    place: { file: "d", line: 3, field },
  });
});

Deno.test("values nested beyond any stack are refused by the template, not by a crash", async () => {
  const depth = 20_000;
  const deep: unknown = JSON.parse("[".repeat(depth) + "]".repeat(depth));
  const knowing = await smallTokenizer(`{{ tools | tojson }}${CHAT_TEMPLATE}`);
  const row = rowOf({ messages: [user("a"), assistant("b")], tools: [deep] });
  throws(() => readMessages(row, { tokenizer: knowing, seqLen: 64 }), { code: "data-invalid" });
});
