import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import type { PacacError } from "../../../src/errors.ts";
import { evaluateGsm8k, type Gsm8kAnswer, loadGsm8k, scoreOf } from "../../../src/train/mod.ts";
import { finalNumber, gsm8kPrompt } from "../../../src/train/evaluate/gsm8k.ts";
import { loadTokenizer } from "../../../src/train/tokenizer.ts";
import { inRepository } from "../../support/paths.ts";
import { smallTokenizer } from "../small_tokenizer.ts";

const tokenizer = await loadTokenizer(inRepository("models/tiny"));
const item = (question: string, number: number) => ({
  question,
  number,
  answer: `So it is.\n#### ${number}`,
});

async function answered(
  items: Parameters<typeof evaluateGsm8k>[0],
  options: Partial<Parameters<typeof evaluateGsm8k>[1]>,
): Promise<Gsm8kAnswer[]> {
  const write = async function* () {};
  const list: Gsm8kAnswer[] = [];
  for await (const a of evaluateGsm8k(items, { tokenizer, room: 500, write, ...options })) {
    list.push(a);
  }
  return list;
}

Deno.test("finalNumber() is the number behind the last ####", () => {
  deepEqual(
    [
      "#### 18",
      "a #### $1,234.50.",
      "####-3\n",
      "#### 5\n#### .5 dollars",
      "18",
      "#### none",
      "### 18",
    ].map(finalNumber),
    [18, 1234.5, -3, 0.5, undefined, undefined, undefined],
  );
});

Deno.test("evaluateGsm8k() compares numbers, and stops writing behind a whole one", async () => {
  let pieces = 0;
  const write = async function* (prompt: string) {
    await Promise.resolve();
    const answer = prompt.includes("ducks") ? "#### 1,800\nQuestion" : "I do not know.";
    for (const piece of answer) {
      pieces++;
      yield piece;
    }
    yield " #### 7";
  };
  const answers = await answered([item("How many ducks?", 1800), item("How many eggs?", 7)], {
    write,
  });
  deepEqual(answers.map(({ number }) => number), [1800, 7]);
  equal(answers[0].written, "#### 1,800\n", "what follows was not asked for");
  equal(pieces, "#### 1,800\n".length + "I do not know.".length);
});

Deno.test("gsm8kPrompt() is what the rows are trained with, examples before it", async () => {
  const examples = [item("One?", 1)];
  const silent = await smallTokenizer(null);
  const plain = gsm8kPrompt(item("Two?", 2), { tokenizer: silent, examples });
  ok(plain.includes("### Instruction:\nOne?\n\n### Response:\nSo it is.\n#### 1\n\nBelow is"));
  ok(plain.endsWith("### Instruction:\nTwo?\n\n### Response:\n"));
  const chatty = gsm8kPrompt(item("Two?", 2), { tokenizer: await smallTokenizer(), examples });
  equal(
    chatty,
    "<|start|>user\nOne?<|end|>\n<|start|>assistant\nSo it is.\n#### 1<|end|>\n" +
      "<|start|>user\nTwo?<|end|>\n<|start|>assistant\n",
  );
});

Deno.test("evaluateGsm8k() drops the first examples of a long prompt, and asks no question that fits nowhere", async () => {
  const examples = [item("First?", 1), item("Second?", 2), item("Third?", 3)];
  const prompts: string[] = [];
  const write = async function* (prompt: string) {
    prompts.push(prompt);
    yield await Promise.resolve("#### 4");
  };
  const question = item("Fourth?", 4);
  const tokens = (shown: typeof examples) =>
    tokenizer.encode(gsm8kPrompt(question, { tokenizer, examples: shown })).length;
  const room = tokens(examples.slice(1));
  const items = [question, item("long ".repeat(300), 5)];
  const answers = await answered(items, { write, examples, room });
  deepEqual(answers.map(({ dropped, number }) => [dropped, number]), [[1, 4], [3, undefined]]);
  equal(answers[1].written, undefined);
  deepEqual(prompts, [gsm8kPrompt(question, { tokenizer, examples: examples.slice(1) })]);
});

Deno.test("evaluateGsm8k() does not count the answer that was interrupted", async () => {
  const stop = new AbortController();
  let asked = 0;
  const write = async function* () {
    if (++asked === 2) stop.abort();
    yield await Promise.resolve("#### 1");
  };
  const items = [item("a", 1), item("b", 1), item("c", 1)];
  equal((await answered(items, { write, signal: stop.signal })).length, 1);
});

Deno.test("loadGsm8k() takes the test file of a folder, and refuses rows without a number", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pacac_gsm8k_" });
  try {
    const row = (question: string, answer: string) => JSON.stringify({ question, answer });
    await Deno.writeTextFile(join(dir, "train.jsonl"), row("t", "#### 1"));
    const rows = [row("a", "#### 1"), row("b", "#### 2"), row("c", "three")];
    await Deno.writeTextFile(join(dir, "test.jsonl"), rows.join("\n"));
    const items = await loadGsm8k(dir, { limit: 2 });
    deepEqual(items.map(({ question, number }) => [question, number]), [["a", 1], ["b", 2]]);
    await rejects(
      loadGsm8k(dir),
      (error: PacacError) =>
        error.code === "data-invalid" && error.place.line === 3 && error.place.field === "answer",
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("scoreOf() has the standard error of a mean of zeros and ones", () => {
  const zeroOne = [1, 0, 0, 1, 1, 1, 0, 1];
  const mean = 5 / 8;
  const variance = zeroOne.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 7;
  const { accuracy, standardError } = scoreOf(5, 8);
  equal(accuracy, mean);
  ok(Math.abs(standardError - Math.sqrt(variance / 8)) < 1e-15);
  ok(Number.isNaN(scoreOf(1, 1).standardError) && Number.isNaN(scoreOf(0, 0).accuracy));
});
