import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { evaluateMmlu, loadMmlu, type MmluAnswer, type MmluItem } from "../../../src/train/mod.ts";
import { loadTokenizer } from "../../../src/train/tokenizer.ts";
import { inRepository } from "../../support/paths.ts";
import { smallTokenizer } from "../small_tokenizer.ts";
import { oracle } from "./oracle.ts";

const tokenizer = await loadTokenizer(inRepository("models/tiny"));

/** dev and test folders of subjects with so many questions, each of which says its answer. */
async function folder(counts: Readonly<Record<string, number>>): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "pacac_mmlu_" });
  const header = "question,choice0,choice1,choice2,choice3,answer";
  const row = (text: string, answer: number) =>
    `"${text}, pick ${"ABCD"[answer]}",a,b,c,d,${answer}`;
  for (const kind of ["dev", "test"]) await Deno.mkdir(join(dir, kind));
  for (const [subject, count] of Object.entries(counts)) {
    const lines = (name: string, n: number) =>
      [header, ...Array.from({ length: n }, (_, i) => row(`${name} ${i}`, (i * 7) % 4))].join("\n");
    await Deno.writeTextFile(join(dir, "dev", `${subject}_dev.csv`), lines("shown", 5));
    await Deno.writeTextFile(join(dir, "test", `${subject}_test.csv`), lines(subject, count));
  }
  return dir;
}

async function inFolder(
  counts: Readonly<Record<string, number>>,
  step: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await folder(counts);
  try {
    await step(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function all(answers: AsyncIterable<MmluAnswer>): Promise<MmluAnswer[]> {
  const list: MmluAnswer[] = [];
  for await (const answer of answers) list.push(answer);
  return list;
}

/** The letter that the last question of a prompt asks for. */
const obey = (prompt: string): number[] => {
  const asked = [...prompt.matchAll(/pick ([A-D])/g)].at(-1)?.[1];
  return ["A", "B", "C", "D"].map((letter) => letter === asked ? 1 : 0);
};

Deno.test("evaluateMmlu() reads each question's letters where its answer begins", async () => {
  await inFolder({ astronomy: 13, world_law: 9 }, async (dir) => {
    const items = await loadMmlu(dir, { shots: 2 });
    equal(items.length, 22);
    const asked = oracle(tokenizer, { batch: 3, seqLen: 400 }, obey);
    const answers = await all(evaluateMmlu(asked.trainer, items, { tokenizer }));
    equal(answers.length, 22);
    ok(answers.every(({ item, chosen }) => chosen === item.question.answer));
    ok(answers.every(({ logits }) => logits.length === 4 && Math.max(...logits) === 1));
    equal(new Set(answers.map(({ item }) => item.question.question)).size, 22);
    ok(asked.batches() < 8, `${asked.batches()} batches of 3 rows: questions do not share rows`);
    const prompt = asked.prompts.find((text) => text.includes("world_law 3"));
    equal(
      prompt,
      "The following are multiple choice questions (with answers) about world law.\n\n" +
        "shown 0, pick A\nA. a\nB. b\nC. c\nD. d\nAnswer: A\n\n" +
        "shown 1, pick D\nA. a\nB. b\nC. c\nD. d\nAnswer: D\n\n" +
        "world_law 3, pick B\nA. a\nB. b\nC. c\nD. d\nAnswer:",
    );
  });
});

Deno.test("evaluateMmlu() drops the first examples of a long prompt, and asks no question that fits nowhere", async () => {
  await inFolder({ astronomy: 4 }, async (dir) => {
    const [long, ...items] = await loadMmlu(dir, { shots: 5 });
    const question = { ...long.question, question: "very ".repeat(200) };
    const given: MmluItem[] = [{ ...long, question }, ...items];
    const asked = oracle(tokenizer, { batch: 1, seqLen: 160 }, obey);
    const [none, ...answers] = await all(evaluateMmlu(asked.trainer, given, { tokenizer }));
    deepEqual([none.chosen, none.logits, none.dropped], [undefined, [], 5]);
    equal(answers.length, 3);
    for (const prompt of asked.prompts) {
      const { dropped } = answers[0];
      ok(dropped > 0 && dropped < 5, `${dropped}`);
      ok(!prompt.includes("shown 0") && prompt.includes("shown 4"));
      equal(prompt.match(/shown/g)?.length, 5 - dropped);
      ok(prompt.startsWith("The following are multiple choice"));
      const oneMore = tokenizer.encode(prompt).length + tokenizer.encode("shown 0").length;
      ok(tokenizer.encode(prompt).length <= 160 && oneMore > 100);
    }
  });
});

Deno.test("loadMmlu() takes a limit evenly, subjects by name, and a single file", async () => {
  await inFolder({ astronomy: 2, law: 9, zoology: 9 }, async (dir) => {
    const counts = async (options: { limit?: number; subjects?: string[] }) => {
      const found: Record<string, number> = {};
      for (const { subject } of await loadMmlu(dir, { shots: 0, ...options })) {
        found[subject] = (found[subject] ?? 0) + 1;
      }
      return found;
    };
    deepEqual(await counts({ limit: 9 }), { astronomy: 2, law: 4, zoology: 3 });
    deepEqual(await counts({ limit: 99 }), { astronomy: 2, law: 9, zoology: 9 });
    deepEqual(await counts({ subjects: ["zoology", "law"], limit: 3 }), { zoology: 2, law: 1 });
    const file = join(dir, "test", "law_test.csv");
    const [first] = await loadMmlu(file, { shots: 5, limit: 1 });
    deepEqual([first.subject, first.examples.length], ["law", 5]);
    await rejects(loadMmlu(dir, { shots: 0, subjects: ["lore"] }), {
      code: "usage",
      message: /no such subject/,
    });
    await rejects(loadMmlu(dir, { shots: 6 }), { code: "usage", message: /there are 5/ });
  });
});

Deno.test("evaluateMmlu() refuses logits that are no numbers, and letters that are no tokens", async () => {
  await inFolder({ law: 1 }, async (dir) => {
    const items = await loadMmlu(dir, { shots: 0 });
    const broken = oracle(tokenizer, { batch: 1, seqLen: 200 }, () => [0, NaN, 0, 0]);
    await rejects(all(evaluateMmlu(broken.trainer, items, { tokenizer })), {
      code: "weights-mismatch",
    });
    const small = await smallTokenizer();
    await rejects(all(evaluateMmlu(broken.trainer, items, { tokenizer: small })), {
      code: "tokenizer-invalid",
      message: /" A" is not one token/,
    });
  });
});

Deno.test("evaluateMmlu() ends after the batch under way", async () => {
  await inFolder({ law: 20 }, async (dir) => {
    const items = await loadMmlu(dir, { shots: 0 });
    const stop = new AbortController();
    const asked = oracle(tokenizer, { batch: 1, seqLen: 100 }, (prompt) => {
      stop.abort();
      return obey(prompt);
    });
    const { signal } = stop;
    const answers = await all(evaluateMmlu(asked.trainer, items, { tokenizer, signal }));
    equal(asked.batches(), 1);
    ok(answers.length > 0 && answers.length < 20);
  });
});
