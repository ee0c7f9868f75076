/**
 * Times pacac and PyTorch on the same configurations, in turn, in one run: `deno task peers --weights DIR`.
 *
 * Needs a Python with torch, transformers and peft (--python, default python3). --shapes 4x512,1x2048,8x128,1x64: rows x tokens;
 * --compiled adds torch.compile, --bf16 PyTorch's bfloat16. A rival's ratio is the median over rounds of its rate over PyTorch's
 * eager PaCA of the same round, so that what moves the whole machine cancels. Writes table and JSON under tests/bench/results.
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
    shapes: { type: "string", default: "4x512" },
    compiled: { type: "boolean", default: false },
    bf16: { type: "boolean", default: false },
    name: { type: "string", default: "smollm2" },
  },
});
const shapes = values.shapes.split(",").map((text) => {
  const match = text.match(/^([1-9]\d*)x([1-9]\d*)$/);
  return match === null ? undefined : { batch: Number(match[1]), seqLen: Number(match[2]) };
});
if (values.weights === undefined || shapes.includes(undefined)) {
  console.error(
    "usage: deno task peers --weights DIR [--shapes 4x512,1x2048] [--compiled] [--bf16] " +
      "[--python PYTHON] [--rounds N] [--steps N] [--name NAME]",
  );
  Deno.exit(2);
}
const weights = values.weights;

interface Shape {
  readonly batch: number;
  readonly seqLen: number;
}

interface Row {
  readonly shape: string;
  readonly who: string;
  readonly round: number;
  readonly tokensPerSecond: number;
  readonly peakRssMb: number;
  readonly warmUpSeconds: number;
  /** Of the peak measured in the same run; pacac alone measures it. */
  readonly peakShare?: number;
}

type Timed = Omit<Row, "shape" | "who" | "round">;

interface Rival {
  readonly who: string;
  readonly run: (shape: Shape) => Promise<Timed>;
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

/** The model's description at a shape: data built on the one in models/. */
async function specAt({ batch, seqLen }: Shape, storage: "f32" | "bf16"): Promise<string> {
  const name = `peers-${batch}x${seqLen}-${storage}`;
  const folder = inRepository("generated");
  await Deno.mkdir(folder, { recursive: true });
  const train = `{ ...smollm2.train, batch: ${batch}, seqLen: ${seqLen}, storage: "${storage}" }`;
  await Deno.writeTextFile(
    `${folder}/${name}.ts`,
    `import smollm2 from "../models/smollm2.ts";\n` +
      `export default { ...smollm2, name: "${name}", train: ${train} };\n`,
  );
  return `${folder}/${name}.ts`;
}

function pacac(storage: "f32" | "bf16"): Rival {
  return {
    who: `pacac PaCA r 16, ${storage} storage`,
    run: async (shape) => {
      const args = ["task", "-q", "bench", await specAt(shape, storage), "--weights", weights];
      const measured = JSON.parse(
        await run(Deno.execPath(), [...args, "--steps", values.steps, "--json"]),
      );
      return {
        tokensPerSecond: measured.tokensPerSecond,
        peakRssMb: measured.peakRssBytes / 1e6,
        warmUpSeconds: measured.buildSeconds,
        peakShare: measured.peakShare,
      };
    },
  };
}

function pytorch(
  method: "paca" | "lora",
  { compiled = false, dtype = "float32" }: {
    readonly compiled?: boolean;
    readonly dtype?: "float32" | "bfloat16";
  } = {},
): Rival {
  const name = method === "paca" ? "PaCA r 16" : "PEFT LoRA r 8";
  return {
    who: `PyTorch ${name}, ${dtype}, ${compiled ? "compiled" : "eager"}`,
    run: async ({ batch, seqLen }) => {
      const args = [inRepository("tests/peers/step_time.py"), weights, "--method", method];
      args.push("--steps", values.steps, "--batch", `${batch}`, "--seq", `${seqLen}`);
      args.push("--dtype", dtype, ...(compiled ? ["--compile"] : []));
      const result = JSON.parse(await run(values.python, args));
      return {
        tokensPerSecond: result.tokens_per_second,
        peakRssMb: result.peak_rss_mb,
        warmUpSeconds: result.warmup_seconds,
      };
    },
  };
}

const methods = ["paca", "lora"] as const;
const baseline = pytorch("paca");
const rivals: readonly Rival[] = [
  pacac("bf16"),
  baseline,
  pacac("f32"),
  pytorch("lora"),
  ...(values.compiled ? methods.map((method) => pytorch(method, { compiled: true })) : []),
  ...(values.bf16 ? methods.map((method) => pytorch(method, { dtype: "bfloat16" })) : []),
  ...(values.bf16 && values.compiled
    ? methods.map((method) => pytorch(method, { dtype: "bfloat16", compiled: true }))
    : []),
];

async function round(shape: Shape, number: number): Promise<Row[]> {
  const rows: Row[] = [];
  const name = `${shape.batch}x${shape.seqLen}`;
  for (const { who, run } of rivals) {
    const row = { shape: name, who, round: number, ...await run(shape) };
    rows.push(row);
    console.error(`round ${number}, ${name}: ${who}: ${row.tokensPerSecond.toFixed(0)} tokens/s`);
  }
  return rows;
}

const all: Row[] = [];
for (const shape of shapes) {
  if (shape === undefined) continue;
  for (const storage of ["f32", "bf16"] as const) {
    await pacac(storage).run(shape); // builds, so that the first round times a warm cache like the others
  }
  for (let i = 1; i <= Number(values.rounds); i++) all.push(...await round(shape, i));
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2;
}

/** The median over rounds of a row's rate over that of the same round's rival. */
function ratioTo(rows: readonly Row[], other: string): number {
  return median(rows.map((row) => {
    const same = all.find(({ shape, who, round }) =>
      shape === row.shape && who === other && round === row.round
    );
    return row.tokensPerSecond / (same?.tokensPerSecond ?? NaN);
  }));
}

function line(rows: readonly Row[]): string {
  const of = (value: (row: Row) => number) => median(rows.map(value));
  const share = of((row) => row.peakShare ?? NaN);
  return `| ${
    [
      rows[0].shape,
      rows[0].who,
      of((row) => row.tokensPerSecond).toFixed(0),
      `${ratioTo(rows, baseline.who).toFixed(2)} ×`,
      `${of((row) => row.peakRssMb).toFixed(0)} MB`,
      `${of((row) => row.warmUpSeconds).toFixed(1)} s`,
      Number.isNaN(share) ? "" : `${(100 * share).toFixed(0)} %`,
    ].join(" | ")
  } |`;
}

const lines = [
  `SmolLM2-135M, all seven linears; ${cpus()[0]?.model}, ${cpus().length} threads; medians of ` +
  `${values.rounds} rounds in turn, ratios within a round`,
  "",
  "| rows x tokens | | tokens/s | to PyTorch PaCA eager | peak RSS | warm-up: first step, or compile from a warm cache | share of peak |",
  "|---|---|--:|--:|--:|--:|--:|",
  ...[...Map.groupBy(all, ({ shape, who }) => `${shape} ${who}`).values()].map(line),
];
console.log(lines.join("\n"));
const folder = inRepository("tests/bench/results");
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(`${folder}/${values.name}.md`, `${lines.join("\n")}\n`);
await Deno.writeTextFile(`${folder}/${values.name}.json`, `${JSON.stringify(all, null, 2)}\n`);
