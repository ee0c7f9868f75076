/**
 * Writing text beside llama.cpp, in turn in one run: `deno task peers:decode --weights DIR`, DIR with SmolLM2-135M-Instruct.
 *
 * Needs a Python with xllamacpp (--python, default python3). The same model, prompt and number of threads, greedy: bf16 in pacac, F16
 * in llama.cpp from the GGUF file that pacac exports. Each writes an answer in turn, and the ratio is taken within a turn. What is timed
 * is decoding: no prompt, no loading. llama.cpp's threads spin where they wait for one another, so beside other work an answer of a second can
 * take minutes: --limit seconds, and the run fails. Writes table and JSON under tests/bench/results.
 * @module
 */
// deno-lint-ignore-file no-console -- this is a command; its table goes to standard output
import { join } from "node:path";
import { processorName } from "../../src/build/processor.ts";
import { openWeights, writeGgufModel } from "../../src/formats/mod.ts";
import { median } from "../../src/tune/statistics.ts";
import { inRepository } from "../support/paths.ts";
import { Stepper } from "./stepper.ts";
import { flagsOf, misused } from "./flags.ts";

const USAGE = `usage: deno task peers:decode --weights DIR [flags]

Writing text in turn with llama.cpp; writes tests/bench/results/NAME.md and .json.

  --weights DIR     the model, in Hugging Face's layout
  --python PYTHON   with xllamacpp (python3)
  --turns N         texts of each (7)
  --tokens N        of a text (64)
  --threads LIST    how many, with commas (1 and all)
  --limit SECONDS   a turn that takes longer fails (180)
  --name NAME       of the files with the results (decode)`;
const values = flagsOf(USAGE, {
  weights: { type: "string" },
  python: { type: "string", default: "python3" },
  turns: { type: "string", default: "7" },
  tokens: { type: "string", default: "64" },
  threads: { type: "string", default: `1,${navigator.hardwareConcurrency}` },
  limit: { type: "string", default: "180" },
  name: { type: "string", default: "decode" },
});
const [turns, tokens, limitSeconds] = [values.turns, values.tokens, values.limit].map(Number);
const threadCounts = [...new Set(values.threads.split(",").map(Number))];
const whole = (count: number) => Number.isInteger(count) && count > 0;
if (
  values.weights === undefined || !(limitSeconds > 0) ||
  ![turns, tokens, ...threadCounts].every(whole)
) {
  misused(USAGE);
}
const { weights, python } = values;
const PROMPT = "The comet came back to the village after seventy-six years, and";

/** Tokens per second of both, a pair a turn. */
interface Race {
  readonly threads: number;
  readonly pacac: number[];
  readonly llamaCpp: number[];
  /** pacac's speed over llama.cpp's in the same turn. */
  readonly ratios: number[];
  readonly peakRssMb: readonly [number, number];
  readonly texts: readonly [string, string];
}

async function race(threads: number, gguf: string): Promise<Race> {
  const ours = await Stepper.start(Deno.execPath(), [
    ...["run", "-A", inRepository("tests/peers/decode_time.ts"), inRepository("models/smollm2.ts")],
    ...[weights ?? "", `${tokens}`, `${threads}`, PROMPT],
  ]);
  const theirs = await Stepper.start(python, [
    ...[inRepository("tests/peers/decode_time.py"), gguf, "--prompt", PROMPT],
    ...["--tokens", `${tokens}`, "--threads", `${threads}`],
  ], { limitSeconds });
  const [pacac, llamaCpp, ratios]: number[][] = [[], [], []];
  let texts: [string, string] = ["", ""];
  for (let turn = 1; turn <= turns; turn++) {
    const [a, b] = [await ours.step(), await theirs.step()];
    pacac.push(tokens / a.seconds);
    llamaCpp.push(tokens / b.seconds);
    ratios.push(b.seconds / a.seconds);
    texts = [a.text, b.text];
    console.error(
      `${threads} threads, turn ${turn} of ${turns}: ${pacac[turn - 1].toFixed(1)} and ` +
        `${llamaCpp[turn - 1].toFixed(1)} tokens/s`,
    );
  }
  const peakRssMb = [await ours.end(), await theirs.end()] as const;
  return { threads, pacac, llamaCpp, ratios, peakRssMb, texts };
}

const folder = await Deno.makeTempDir({ prefix: "pacac-peers-" });
const races: Race[] = [];
try {
  const gguf = join(folder, "model.gguf");
  writeGgufModel(gguf, { weights: openWeights(weights), sourceFolder: weights, dtype: "F16" });
  for (const threads of threadCounts) races.push(await race(threads, gguf));
} finally {
  await Deno.remove(folder, { recursive: true });
}

function line({ threads, pacac, llamaCpp, ratios, peakRssMb: [ours, theirs] }: Race): string {
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  const cells = [
    `${threads}`,
    median(pacac).toFixed(1),
    median(llamaCpp).toFixed(1),
    `${median(ratios).toFixed(2)} × (${low.toFixed(2)} to ${high.toFixed(2)})`,
    `${ours.toFixed(0)} MB`,
    `${theirs.toFixed(0)} MB`,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** How many characters two texts begin with in common. */
function inCommon(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
}

const lines = [
  `SmolLM2-135M, greedy, ${tokens} tokens behind a short prompt; ${processorName()}; ` +
  `medians of ${turns} turns`,
  "",
  "| threads | pacac, bf16: tokens/s | llama.cpp, F16: tokens/s | ratio (in a turn) | pacac's peak RSS | llama.cpp's |",
  "|--:|--:|--:|--:|--:|--:|",
  ...races.map(line),
  "",
  ...races.map(({ threads, texts: [ours, theirs] }) =>
    `${threads} threads: ${inCommon(ours, theirs)} of ${theirs.length} characters written alike.`
  ),
];
console.log(lines.join("\n"));
const results = inRepository("tests/bench/results");
await Deno.mkdir(results, { recursive: true });
await Deno.writeTextFile(join(results, `${values.name}.md`), `${lines.join("\n")}\n`);
await Deno.writeTextFile(
  join(results, `${values.name}.json`),
  `${JSON.stringify({ processor: processorName(), tokens, races }, null, 2)}\n`,
);
