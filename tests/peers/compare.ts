/**
 * Times pacac and PyTorch on the same configuration, in turn, in one run: `deno task peers --weights DIR`.
 *
 * Needs a Python with torch, transformers and peft (--python, default python3). Writes the table and the JSON under tests/bench/results.
 * @module
 */
// deno-lint-ignore-file no-console -- this is a command; its table goes to standard output
import { parseArgs } from "node:util";
import { cpus } from "node:os";
import { inRepository } from "../support/paths.ts";

const { values } = parseArgs({
  options: {
    weights: { type: "string" },
    python: { type: "string", default: "python3" },
    rounds: { type: "string", default: "2" },
    steps: { type: "string", default: "4" },
    compiled: { type: "boolean", default: false },
    name: { type: "string", default: "smollm2" },
  },
});
if (values.weights === undefined) {
  console.error("usage: deno task peers --weights DIR [--python PYTHON] [--rounds N] [--compiled]");
  Deno.exit(2);
}
const weights = values.weights;

interface Row {
  readonly who: string;
  readonly tokensPerSecond: number;
  readonly peakRssMb: number;
  readonly warmUpSeconds: number;
  /** Of the peak measured in the same run; pacac alone measures it. */
  readonly peakShare?: number;
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: inRepository("."),
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (success) return text.trim().split("\n").at(-1) ?? "";
  console.error(new TextDecoder().decode(stderr).split("\n").slice(-12).join("\n"));
  throw new Error(`${command} ${args.join(" ")} failed`);
}

async function pacac(storage: "f32" | "bf16"): Promise<Row> {
  const spec = inRepository(storage === "bf16" ? "models/smollm2.ts" : "models/smollm2_f32.ts");
  const args = [
    "task",
    "-q",
    "bench",
    spec,
    "--weights",
    weights,
    "--steps",
    values.steps,
    "--json",
  ];
  const measured = JSON.parse(await run(Deno.execPath(), args));
  return {
    who: `pacac PaCA r 16, ${storage} storage`,
    tokensPerSecond: measured.tokensPerSecond,
    peakRssMb: measured.peakRssBytes / 1e6,
    warmUpSeconds: measured.buildSeconds,
    peakShare: measured.peakShare,
  };
}

async function pytorch(method: "paca" | "lora", compiled: boolean): Promise<Row> {
  const args = [inRepository("tests/peers/step_time.py"), weights, "--method", method];
  args.push("--steps", values.steps, ...(compiled ? ["--compile"] : []));
  const result = JSON.parse(await run(values.python, args));
  const name = method === "paca" ? "PaCA" : "PEFT LoRA";
  return {
    who: `PyTorch ${name} r ${result.rank}, float32, ${compiled ? "compiled" : "eager"}`,
    tokensPerSecond: result.tokens_per_second,
    peakRssMb: result.peak_rss_mb,
    warmUpSeconds: result.warmup_seconds,
  };
}

const rivals: (() => Promise<Row>)[] = [
  () => pacac("bf16"),
  () => pytorch("paca", false),
  () => pacac("f32"),
  () => pytorch("lora", false),
  ...(values.compiled ? [() => pytorch("paca", true), () => pytorch("lora", true)] : []),
];
await pacac("f32"); // builds both programs, so that the first round times a warm cache like the others
await pacac("bf16");
const rows = new Map<string, Row[]>();
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const rival of rivals) {
    const row = await rival();
    rows.set(row.who, [...rows.get(row.who) ?? [], row]);
    console.error(`round ${round}: ${row.who}: ${row.tokensPerSecond.toFixed(0)} tokens/s`);
  }
}

const median = (numbers: readonly number[]) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2;
};
const table = [...rows].map(([who, all]) => ({
  who,
  tokensPerSecond: median(all.map((row) => row.tokensPerSecond)),
  peakRssMb: median(all.map((row) => row.peakRssMb)),
  warmUpSeconds: median(all.map((row) => row.warmUpSeconds)),
  peakShare: median(all.map((row) => row.peakShare ?? NaN)),
}));
const base = table.find(({ who }) => who.startsWith("PyTorch PaCA") && who.endsWith("eager"));
const lines = [
  `SmolLM2-135M, 4 rows of 512, all seven linears; ${
    cpus()[0]?.model
  }, ${cpus().length} threads; median of ${values.rounds} rounds in turn`,
  "",
  "| | tokens/s | to PyTorch PaCA eager | peak RSS | warm-up: first step, or compile from a warm cache | share of FMA peak |",
  "|---|---|---|---|---|---|",
  ...table.map((row) =>
    `| ${row.who} | ${row.tokensPerSecond.toFixed(0)} | ${
      (row.tokensPerSecond / (base?.tokensPerSecond ?? NaN)).toFixed(2)
    } × | ${row.peakRssMb.toFixed(0)} MB | ${row.warmUpSeconds.toFixed(1)} s | ${
      Number.isNaN(row.peakShare) ? "" : `${(100 * row.peakShare).toFixed(0)} %`
    } |`
  ),
];
console.log(lines.join("\n"));
const folder = inRepository("tests/bench/results");
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(`${folder}/${values.name}.md`, `${lines.join("\n")}\n`);
await Deno.writeTextFile(
  `${folder}/${values.name}.json`,
  `${JSON.stringify([...rows.values()].flat(), null, 2)}\n`,
);
