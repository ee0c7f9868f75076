/**
 * Writing text beside llama.cpp, in turn in one run: `deno task peers:decode --weights DIR`.
 *
 * Needs a Python with xllamacpp (--python, default python3). The same model, greedy, from bf16 in pacac and from F16 in llama.cpp; an
 * answer of each in each turn, the ratio within a turn.
 * @module
 */
// deno-lint-ignore-file no-console -- this is a command; its table goes to standard output
import { parseArgs } from "node:util";
import { processorName } from "../../src/build/processor.ts";
import { openWeights, writeGgufModel } from "../../src/formats/mod.ts";
import { inRepository } from "../support/paths.ts";
import { Stepper } from "./stepper.ts";

const { values } = parseArgs({
  options: {
    weights: { type: "string" },
    python: { type: "string", default: "python3" },
    turns: { type: "string", default: "7" },
    tokens: { type: "string", default: "64" },
  },
});
if (values.weights === undefined) {
  console.error(
    "usage: deno task peers:decode --weights DIR [--python PYTHON] [--turns N] [--tokens N]",
  );
  Deno.exit(2);
}
const { weights, tokens } = values;
const turns = Number(values.turns);

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2;
}

const folder = await Deno.makeTempDir({ prefix: "pacac-peers-" });
try {
  const gguf = `${folder}/model.gguf`;
  writeGgufModel(gguf, { weights: openWeights(weights), sourceFolder: weights, dtype: "F16" });
  const threads = `${navigator.hardwareConcurrency}`;
  const ours = await Stepper.start(Deno.execPath(), [
    ...["run", "-A", inRepository("tests/peers/decode_time.ts")],
    ...[inRepository("models/smollm2.ts"), weights, tokens],
  ]);
  const theirs = await Stepper.start(values.python, [
    ...[inRepository("tests/peers/decode_time.py"), gguf],
    ...["--tokens", tokens, "--threads", threads],
  ]);
  const times: [number, number][] = [];
  for (let turn = 1; turn <= turns; turn++) {
    times.push([await ours.step(), await theirs.step()]);
    console.error(
      `turn ${turn} of ${turns}: ${times[turn - 1].map((t) => t.toFixed(2)).join(", ")} s`,
    );
  }
  const rate = (which: 0 | 1) => Number(tokens) / median(times.map((pair) => pair[which]));
  console.log(
    `SmolLM2-135M, greedy, ${tokens} tokens; ${processorName()}, ${threads} threads; ` +
      `medians of ${turns} turns\n\n` +
      `| | tokens/s | to llama.cpp | peak RSS |\n|---|--:|--:|--:|\n` +
      `| pacac, bf16 | ${rate(0).toFixed(1)} | ${
        median(times.map(([a, b]) => b / a)).toFixed(2)
      } × | ${(await ours.end()).toFixed(0)} MB |\n` +
      `| llama.cpp, F16 | ${rate(1).toFixed(1)} | 1.00 × | ${(await theirs.end()).toFixed(0)} MB |`,
  );
} finally {
  await Deno.remove(folder, { recursive: true });
}
