/**
 * `evaluate` end to end, on the reference target and a small model: figures, Ctrl-C, and what it says of nonsense.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../errors/case.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NAME = "evaluate-test";

const SPEC = `import * as p from "@pacac/pacac";
const model = p.llama({
  hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1, kvHeads: 1, headDim: 8,
  vocabSize: 768, rmsNormEps: 1e-5, ropeTheta: 10000, ropeScaling: { type: "default" },
  tieWordEmbeddings: true, attentionBias: false, outputBias: false, mlpBias: false,
});
export default p.fineTune({
  name: "${NAME}", model, folder: "model", adapt: p.full(),
  train: { batch: 1, seqLen: 96, optimizer: p.adamw({ learningRate: 1e-2 }) },
});
`;

async function fixture(): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "pacac_evaluate_" });
  const csv = (name: string, count: number) =>
    [
      "question,A,B,C,D,answer",
      ...Array.from({ length: count }, (_, i) => `${name} ${i}?,w,x,y,z,${"ABCD"[i % 4]}`),
    ].join("\n");
  const gsm = (count: number) =>
    Array.from(
      { length: count },
      (_, i) => JSON.stringify({ question: `What is ${i}?`, answer: `#### ${i}` }),
    ).join("\n");
  const files: [string, string][] = [
    ["spec.ts", SPEC],
    ["mmlu/dev/law_dev.csv", csv("Shown", 2)],
    ["mmlu/dev/art_dev.csv", csv("Shown", 2)],
    ["mmlu/test/law_test.csv", csv("Law", 400)],
    ["mmlu/test/art_test.csv", csv("Art", 400)],
    ["gsm/test.jsonl", gsm(3)],
    ["gsm/train.jsonl", gsm(2)],
    ["bad.jsonl", '{"question": "a", "answer": "four"}'],
    ["prose.txt", "It was the best of times."],
  ];
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    files.push([`model/${name}`, await Deno.readTextFile(join(ROOT, "models/tiny", name))]);
  }
  for (const [name, text] of files) {
    await Deno.mkdir(join(dir, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(dir, name), text);
  }
  return dir;
}

const GIVEN = "evaluate spec.ts --target reference --init 1";

/** Starts a command and interrupts it when it has told of progress. */
async function interrupted(dir: string, line: string): Promise<{ code: number; stdout: string }> {
  const permissions = ["read", "write", "run", "env", "sys", "ffi"].map((name) =>
    `--allow-${name}`
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, `${ROOT}src/cli/main.ts`, ...line.split(" ")],
    cwd: ROOT,
    env: { NO_COLOR: "1", INIT_CWD: dir, PACAC_CACHE: join(dir, "cache") },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdout = new Response(child.stdout).text();
  let said = "";
  for await (const piece of child.stderr.pipeThrough(new TextDecoderStream())) {
    const before = / of \d+ questions/.test(said);
    said += piece;
    if (before || !/ of \d+ questions/.test(said)) continue;
    child.kill("SIGINT");
    child.kill("SIGINT");
  }
  const { code } = await child.status;
  return { code, stdout: await stdout };
}

Deno.test("evaluate asks MMLU and GSM8K, stops at Ctrl-C, and refuses nonsense", async (t) => {
  const dir = await fixture();
  const ok = async (line: string) => {
    const result = await runCommand(`${GIVEN} ${line}`.split(" "), { dir });
    assert.equal(result.exit, "0", `${line}\n${result.stderr}`);
    return result;
  };
  try {
    await t.step("--json has the figures, by subject too", async () => {
      const { stdout, stderr } = await ok("--task mmlu --data mmlu --shots 2 --limit 6 --json");
      const found = JSON.parse(stdout);
      assert.deepEqual(
        [found.task, found.shots, found.questions, found.scored, found.complete, found.tooLong],
        ["mmlu", 2, 6, 6, true, 0],
      );
      assert.deepEqual(Object.keys(found.subjects).sort(), ["art", "law"]);
      const right = found.subjects.art.correct + found.subjects.law.correct;
      assert.equal(found.correct, right);
      assert.equal(found.accuracy, right / 6);
      assert.ok(found.dropped > 0, "96 tokens are too few for two examples");
      assert.match(stderr, /prompts were longer than 96 tokens: \d+ examples were dropped/);
    });

    await t.step("the table has a line for each subject and one for all", async () => {
      const { stdout, stderr } = await ok(
        "--task mmlu --data mmlu --shots 1 --limit 4 --subjects law --seq-len 128",
      );
      assert.match(stdout, /\nlaw +4 +\d +\d+\.\d % +± \d+\.\d %\nall +4 /);
      assert.doesNotMatch(stdout, /art/);
      assert.doesNotMatch(stderr, /longer/);
    });

    await t.step("gsm8k writes, and counts no answer as a wrong one", async () => {
      const line = "--task gsm8k --data gsm --shots 1 --max-tokens 3 --json --limit 2";
      const found = JSON.parse((await ok(line)).stdout);
      const { questions, scored, correct, shots, complete } = found;
      assert.deepEqual([questions, scored, correct, shots, complete], [2, 2, 0, 1, true]);
    });

    await t.step("Ctrl-C prints what is answered and exits with 130", async () => {
      const line = `${GIVEN} --task mmlu --data mmlu --shots 1 --json`;
      const { code, stdout } = await interrupted(dir, line);
      assert.equal(code, 130);
      const { questions, scored, complete } = JSON.parse(stdout);
      assert.ok(questions === 800 && scored > 0 && scored < 800 && complete === false, stdout);
    });

    const mmlu = "--task mmlu --data mmlu";
    const nonsense: readonly (readonly [string, string, RegExp])[] = [
      ["--task mmlu --data nowhere", "1", /error\[io\]: DIR\/nowhere: Cannot read the data/],
      ["--task mmlu --data prose.txt", "1", /the file holds no rows/],
      ["--task mmlu --data gsm/test.jsonl", "1", /error\[data-invalid\]/],
      ["--task gsm8k --data bad.jsonl", "1", /bad\.jsonl:1 \(answer\).*no "#### NUMBER"/],
      ["--task gsm8k --data gsm --shots 9", "2", /there are 2/],
      ["--task gsm8k --data gsm --subjects law", "2", /gsm8k has none/],
      [`${mmlu} --subjects lore`, "2", /no such subject\n.*art, law/],
      [`${mmlu} --shots 3`, "2", /Cannot show 3 examples: there are 2/],
      [`${mmlu} --shots -1`, "2", /whole number from 0/],
      [`${mmlu} --limit 0`, "2", /whole number from 1/],
      ["--task trivia --data mmlu", "2", /Allowed choices are mmlu, gsm8k/],
      ["--task mmlu", "2", /'--data <path>' not specified/],
    ];
    for (const [line, code, message] of nonsense) {
      await t.step(`refuses ${line}`, async () => {
        const { exit, stderr } = await runCommand(`${GIVEN} ${line}`.split(" "), { dir });
        assert.equal(exit, code, stderr);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /\n {4}at /, "a stack trace");
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
    for (const task of ["mmlu", "gsm8k"]) {
      await Deno.remove(join(ROOT, "generated", `${NAME}-reference-${task}`), { recursive: true })
        .catch(() => {});
    }
  }
});
