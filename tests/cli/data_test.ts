/**
 * `data`: what a person sees of files before training, on the tokenizer in this repository.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../errors/case.ts";

const TINY = fileURLToPath(new URL("../../models/tiny", import.meta.url));

async function inFolder(
  files: Readonly<Record<string, string>>,
  step: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pacac_data_" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(dir, name), text);
    }
    await step(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const QUESTIONS = ["Where?", "When?", "Where?"].map((question) =>
  JSON.stringify({ question, answer: "There." })
).join("\n");

Deno.test("data shows figures, and rows with what is learnt in brackets", async () => {
  await inFolder({ "q.jsonl": QUESTIONS }, async (dir) => {
    const line = "data q.jsonl --map question=prompt,answer=completion --seq-len 64 --show 2";
    const { exit, stdout, stderr } = await runCommand([...line.split(" "), "--model", TINY], {
      dir,
    });
    assert.equal(exit, "0", stderr);
    assert.match(stdout, /DIR\/q\.jsonl\s+jsonl\s+completion\s+3\s+3\n/);
    assert.match(stdout, /3 documents \(completion\) in 1 rows of 64/);
    assert.match(stdout, /1 documents are duplicates/);
    assert.match(stdout, /DIR\/q\.jsonl:1, \d+ tokens\nWhere\?\[There\.[^\]]*\]\n/);
    assert.equal(stdout.split(" tokens\n").length, 3);
    // deno-lint-ignore no-control-regex -- no colour is what is checked
    assert.doesNotMatch(stdout, /\x1b/);
  });
});

Deno.test("data --json says the same as data, a second time from the cache", async () => {
  await inFolder({ "q.jsonl": `${QUESTIONS}\n{` }, async (dir) => {
    const line = "data q.jsonl --map question=prompt,answer=completion --skip-bad 1 --json";
    const run = async () => {
      const { exit, stdout, stderr } = await runCommand([...line.split(" "), "--model", TINY], {
        dir,
      });
      assert.equal(exit, "0", stderr);
      return JSON.parse(stdout);
    };
    const first = await run(), second = await run();
    assert.deepEqual({ ...second, cached: false }, first);
    assert.equal(second.cached, true);
    assert.equal(first.seqLen, 512);
    assert.equal(first.train.documents, 3);
    assert.equal(first.duplicates, 1);
    assert.deepEqual(first.skipped.map(({ place }: { place: unknown }) => place), [
      { file: "DIR/q.jsonl", line: 4 },
    ]);
    const counted = first.histogram.map(({ documents }: { documents: number }) => documents);
    assert.equal(counted.reduce((sum: number, n: number) => sum + n, 0), 3);
  });
});

Deno.test.each([
  { what: "no file", line: "data nothing.jsonl", code: "io" },
  { what: "fields of no format", line: "data q.jsonl", code: "data-invalid" },
  { what: "a map of nothing", line: "data q.jsonl --map question", code: "usage" },
  { what: "a weight of 0", line: "data q.jsonl:0", code: "usage" },
  { what: "a share of 1", line: "data q.jsonl --validation 1", code: "usage" },
  { what: "rows of 1", line: "data q.jsonl --seq-len 1", code: "usage" },
  { what: "a format of no name", line: "data q.jsonl --format yaml", code: "usage" },
  { what: "no model", line: "data q.jsonl --model nowhere/at-all", code: "model-not-found" },
])("data says what is wrong with $what, without a stack", async ({ line, code }) => {
  await inFolder({ "q.jsonl": QUESTIONS }, async (dir) => {
    const words = line.includes("--model")
      ? line.split(" ")
      : [...line.split(" "), "--model", TINY];
    const { exit, stderr } = await runCommand(words, { dir });
    assert.equal(exit, code === "usage" ? "2" : "1", stderr);
    assert.match(stderr, new RegExp(`^error\\[${code}\\]: `));
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
});
