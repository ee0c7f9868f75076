/**
 * Times pacac and PyTorch on the same work: `deno task peers --weights DIR`.
 *
 * Needs a Python with torch, transformers and peft (--python, default python3). --shapes 4x512,1x2048: rows x tokens; --compiled adds
 * torch.compile, --bf16 PyTorch's bfloat16, both also both at once; --isa holds all of them to an instruction set. All programs are
 * loaded, and then take one step each in turn: a step's ratio is to PyTorch's eager PaCA in the same turn, seconds apart, so that what
 * moves the whole machine cancels. A program waits for its turn without using a core. The peak is measured in each turn, too. Writes
 * table and JSON under tests/bench/results.
 * @module
 */
// deno-lint-ignore-file no-console -- this is a command; its table goes to standard output
import { machineNow } from "../../src/compile.ts";
import { processorName } from "../../src/build/processor.ts";
import { machineAtStorage } from "../../src/targets/roofline.ts";
import type { Machine } from "../../src/targets/target.ts";
import { median } from "../../src/tune/statistics.ts";
import { inRepository } from "../support/paths.ts";
import { Stepper } from "./stepper.ts";
import { flagsOf, misused } from "./flags.ts";
import { HELD_NAMES, heldTo } from "./isa.ts";

const USAGE = `usage: deno task peers --weights DIR [flags]

Steps of pacac and of PyTorch in turn, the rows of README's tables; writes tests/bench/results/NAME.md and .json.

  --weights DIR     the model, in Hugging Face's layout
  --python PYTHON   with torch, transformers and peft (python3)
  --shapes LIST     rows x tokens, several with commas (4x512)
  --turns N         steps of each program (5)
  --compiled        torch.compile, too
  --bf16            PyTorch in bfloat16, too; with --compiled also both at once
  --isa NAME        holds all programs to an instruction set: ${HELD_NAMES} (native, all there is)
  --name NAME       of the files with the results (smollm2)`;
const values = flagsOf(USAGE, {
  weights: { type: "string" },
  python: { type: "string", default: "python3" },
  turns: { type: "string", default: "5" },
  shapes: { type: "string", default: "4x512" },
  compiled: { type: "boolean", default: false },
  bf16: { type: "boolean", default: false },
  isa: { type: "string", default: "native" },
  name: { type: "string", default: "smollm2" },
});
const shapes = values.shapes.split(",").flatMap((text) => {
  const match = text.match(/^([1-9]\d*)x([1-9]\d*)$/);
  return match === null ? [] : { name: text, batch: Number(match[1]), seqLen: Number(match[2]) };
});
const turns = Number(values.turns);
if (
  values.weights === undefined || shapes.length < values.shapes.split(",").length || !(turns > 0)
) {
  misused(USAGE);
}
const weights = values.weights;
const { isa, environment } = heldTo(values.isa, USAGE);

interface Shape {
  readonly name: string;
  readonly batch: number;
  readonly seqLen: number;
}

interface Rival {
  readonly who: string;
  /** pacac's. */
  readonly storage?: "f32" | "bf16";
  readonly start: (shape: Shape) => Promise<Stepper>;
}

/** One program's steps at one shape. */
interface Row {
  readonly shape: string;
  readonly who: string;
  readonly tokensPerStep: number;
  /** One a turn. */
  readonly seconds: number[];
  /** Seconds of the baseline's step over this program's, one a turn. */
  readonly ratios: number[];
  /** Of the peak measured in the same turn, of bf16 pairs where it stores such weights; pacac's alone, whose FLOPs are known. */
  readonly peakShares: number[];
  readonly peakRssMb: number;
  readonly warmUpSeconds: number;
}

/** The description at a shape: data built on the one in models/. */
async function specAt({ name, batch, seqLen }: Shape, storage: "f32" | "bf16"): Promise<string> {
  const program = `peers-${name}-${storage}`;
  const folder = inRepository("generated");
  await Deno.mkdir(folder, { recursive: true });
  const train = `{ ...smollm2.train, batch: ${batch}, seqLen: ${seqLen}, storage: "${storage}" }`;
  await Deno.writeTextFile(
    `${folder}/${program}.ts`,
    `import smollm2 from "../models/smollm2${storage === "f32" ? "_f32" : ""}.ts";\n` +
      `export default { ...smollm2, name: "${program}", train: ${train} };\n`,
  );
  return program;
}

/** Compiles, which is part of the warm-up, and starts. */
function pacac(storage: "f32" | "bf16"): Rival {
  return {
    who: `pacac PaCA r 16, ${storage} storage`,
    storage,
    start: async (shape) => {
      const program = await specAt(shape, storage);
      const folder = inRepository(`generated/${program}`);
      const began = performance.now();
      const compile = ["task", "-q", "compile", `${folder}.ts`, "--weights", weights];
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...compile, "--out", folder, "--isa", isa],
        cwd: inRepository("."),
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      const compileSeconds = (performance.now() - began) / 1e3;
      const args = ["run", "-A", inRepository("tests/peers/step_time.ts"), folder, weights];
      return await Stepper.start(Deno.execPath(), args, { compileSeconds });
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
    start: async ({ batch, seqLen }) => {
      const args = [inRepository("tests/peers/step_time.py"), weights, "--method", method];
      args.push("--batch", `${batch}`, "--seq", `${seqLen}`, "--dtype", dtype);
      if (compiled) args.push("--compile");
      return await Stepper.start(values.python, args, { environment });
    },
  };
}

const methods = ["paca", "lora"] as const;
const baseline = pytorch("paca");
/** What runs at once: a few programs with the baseline and pacac among them, so that memory suffices for all. */
const groups: readonly (readonly Rival[])[] = [
  [baseline, pacac("bf16"), pacac("f32"), pytorch("lora")],
  ...(values.compiled
    ? [[baseline, pacac("bf16"), ...methods.map((method) => pytorch(method, { compiled: true }))]]
    : []),
  ...(values.bf16
    ? [[
      baseline,
      pacac("bf16"),
      ...methods.map((method) => pytorch(method, { dtype: "bfloat16" })),
    ]]
    : []),
  ...(values.bf16 && values.compiled
    ? [[
      baseline,
      pacac("bf16"),
      ...methods.map((method) => pytorch(method, { dtype: "bfloat16", compiled: true })),
    ]]
    : []),
];

/** Runs a group: every program takes a step, then every program takes the next. Rivals that do not start are left out. */
async function race(group: readonly Rival[], shape: Shape): Promise<Row[]> {
  const running: {
    readonly rival: Rival;
    readonly stepper: Stepper;
    readonly seconds: number[];
  }[] = [];
  for (const rival of group) {
    console.error(`${shape.name}: ${rival.who}: starting`);
    try {
      running.push({ rival, stepper: await rival.start(shape), seconds: [] });
    } catch (error) {
      if (rival === baseline || rival.storage !== undefined) throw error;
      console.error(`${shape.name}: ${rival.who}: left out: ${error}`);
    }
  }
  const peaks: Machine[] = [];
  for (let turn = 1; turn <= turns; turn++) {
    for (const { stepper, seconds } of running) seconds.push((await stepper.step()).seconds);
    peaks.push(await machineNow(isa, navigator.hardwareConcurrency, "f32"));
    const times = running.map(({ seconds }) => seconds[turn - 1].toFixed(2)).join(", ");
    console.error(`${shape.name}, turn ${turn} of ${turns}: ${times} s`);
  }
  const rows: Row[] = [];
  const [first] = running;
  for (const { rival, stepper, seconds } of running) {
    const { flopsPerStep, warmUpSeconds } = stepper;
    const { who, storage = "f32" } = rival;
    rows.push({
      shape: shape.name,
      who,
      tokensPerStep: shape.batch * shape.seqLen,
      seconds,
      ratios: seconds.map((of, turn) => first.seconds[turn] / of),
      peakShares: flopsPerStep === undefined
        ? []
        : seconds.map((of, turn) =>
          flopsPerStep / of / machineAtStorage(peaks[turn], storage).flopsPerSecond
        ),
      peakRssMb: await stepper.end(),
      warmUpSeconds,
    });
  }
  return rows;
}

const rows: Row[] = [];
for (const shape of shapes) {
  for (const group of groups) rows.push(...await race(group, shape));
}

function line(row: Row): string {
  const cells = [
    row.shape,
    row.who,
    (row.tokensPerStep / median(row.seconds)).toFixed(0),
    `${median(row.ratios).toFixed(2)} ×`,
    `${row.peakRssMb.toFixed(0)} MB`,
    `${row.warmUpSeconds.toFixed(1)} s`,
    row.peakShares.length === 0 ? "" : `${(100 * median(row.peakShares)).toFixed(0)} %`,
  ];
  return `| ${cells.join(" | ")} |`;
}

const lines = [
  `SmolLM2-135M, all seven linears; ${processorName()}${
    values.isa === "native" ? "" : `, all held to ${isa}`
  }, ${navigator.hardwareConcurrency} threads; ` +
  `medians of ${turns} steps, taken in turn`,
  "",
  "| rows x tokens | | tokens/s | to PyTorch PaCA eager | peak RSS | warm-up: compile and first step | share of peak |",
  "|---|---|--:|--:|--:|--:|--:|",
  ...rows.map(line),
];
console.log(lines.join("\n"));
const folder = inRepository("tests/bench/results");
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(`${folder}/${values.name}.md`, `${lines.join("\n")}\n`);
await Deno.writeTextFile(`${folder}/${values.name}.json`, `${JSON.stringify(rows, null, 2)}\n`);
