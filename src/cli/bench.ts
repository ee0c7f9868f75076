/**
 * `bench`: training speed and memory on made-up batches.
 *
 * The steps run in a process of their own, so that peak memory is the trainer's and not the compiler's.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { stat } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { machineOf } from "../build/machine.ts";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import { loadSpec } from "../spec/load.ts";
import type { Batch, Engine, ProgramInfo } from "../train/mod.ts";
import { option } from "./flags.ts";
import { duration, grouped, megabytes, note, percent, print, table } from "./print.ts";
import { compileSpec, loadOptions, openProgram } from "./program.ts";

const DEFAULT_SPEC = `${ROOT}models/smollm2.ts`;
/** The first steps touch every page and wake every thread; they are not counted. */
const WARM_UP = 2;

const measuredSchema = z.object({
  name: z.string(),
  steps: z.int(),
  secondsPerStep: z.number(),
  tokensPerSecond: z.number(),
  flopsPerSecond: z.number(),
  loss: z.number(),
  peakRssBytes: z.number(),
  arenaBytes: z.number(),
  arenaUsedBytes: z.number(),
  stepAllocations: z.number(),
  /** Seconds and calls a step by kernel, longest first; empty where the target does not count. */
  kernels: z.array(z.object({ kernel: z.string(), calls: z.number(), seconds: z.number() })),
});

/** What the measuring process reports. */
export type Measured = z.infer<typeof measuredSchema>;

/** The command. */
export function benchCommand(): PlainCommand {
  return new Command()
    .argument("[program]", "Model description (models/smollm2.ts if not said), or a built folder")
    .addOption(option.weights())
    .addOption(option.steps())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.profile())
    .addOption(option.json())
    .action(async (path, flags) => {
      const steps = flags.steps ?? 10;
      const full = path === undefined ? DEFAULT_SPEC : userPath(path);
      const info = await stat(full).catch(() => undefined);
      if (info?.isDirectory() === true) {
        const measured = await measure(full, { ...flags, steps });
        return tell({ measured }, flags);
      }
      const loaded = await loadSpec(full);
      const compiled = await compileSpec(loaded, flags);
      const measured = await measureApart(compiled.dir, { weights: flags.weights, steps });
      // The peak of these very minutes: a shared machine's moves.
      const { target: { isa }, threads } = compiled.plan;
      const machine = await machineOf(isa, { threads, fresh: true });
      const buildSeconds = Object.values(compiled.seconds).reduce((sum, took) => sum + took, 0);
      const peakShare = measured.flopsPerSecond / machine.flopsPerSecond;
      const report = { measured, peakShare, buildSeconds, warm: compiled.warm, machine };
      tell(report, flags);
    }) as unknown as PlainCommand;
}

/** Runs steps in this process. */
async function measure(
  dir: string,
  flags: { readonly weights?: string | undefined; readonly steps: number },
): Promise<Measured> {
  const { module } = await openProgram(dir, { target: "cpu", isa: "native" });
  const options = flags.weights === undefined ? { init: 0 } : { weights: flags.weights };
  await using trainer = await module.load(loadOptions(options));
  const { info } = trainer;
  const batches = Array.from({ length: info.accumulate }, (_, i) => madeUpBatch(info, i));
  const times: number[] = [];
  let loss = NaN;
  let before: Profile = [];
  for (let step = -WARM_UP; step < flags.steps; step++) {
    if (step === 0) before = profileOf(trainer.engine);
    const began = performance.now();
    ({ loss } = await trainer.step(batches));
    if (step >= 0) times.push((performance.now() - began) / 1000);
    note(`step ${step + WARM_UP + 1}/${flags.steps + WARM_UP}`);
  }
  const secondsPerStep = median(times);
  const { arenaUsed, stepAllocations } = trainer.engine.memory();
  return {
    name: `${info.name} ${info.batch}x${info.seqLen} ${info.storage} ${info.target}`,
    steps: flags.steps,
    secondsPerStep,
    tokensPerSecond: info.accumulate * info.batch * info.seqLen / secondsPerStep,
    flopsPerSecond: info.accumulate * info.flopsPerStep / secondsPerStep,
    loss,
    // Kilobytes on every system; /proc would need all permissions.
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    arenaBytes: info.arenaBytes,
    arenaUsedBytes: arenaUsed,
    stepAllocations,
    kernels: perStep(before, profileOf(trainer.engine), flags.steps),
  };
}

type Profile = Measured["kernels"];

/** What an engine that counts its kernels' time has counted since it was loaded. */
function profileOf(engine: Engine): Profile {
  return "profile" in engine && typeof engine.profile === "function" ? engine.profile() : [];
}

function perStep(before: Profile, after: Profile, steps: number): Profile {
  return after.map(({ kernel, calls, seconds }, i) => ({
    kernel,
    calls: (calls - (before[i]?.calls ?? 0)) / steps,
    seconds: (seconds - (before[i]?.seconds ?? 0)) / steps,
  })).filter(({ calls }) => calls > 0).sort((a, b) => b.seconds - a.seconds);
}

/** Runs steps in a process that has loaded nothing else. */
async function measureApart(
  dir: string,
  { weights, steps }: { readonly weights: string | undefined; readonly steps: number },
): Promise<Measured> {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const permissions = ["read", "write", "run", "env", "sys", "ffi"].map((name) =>
    `--allow-${name}`
  );
  const given = weights === undefined ? [] : ["--weights", userPath(weights)];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--quiet", "--config", `${ROOT}deno.json`, ...permissions, main],
      ...["bench", dir, "--steps", `${steps}`, "--json", ...given],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (code !== 0) {
    throw new PacacError("load-failed", `Cannot measure: the program ended with code ${code}`, {
      place: { file: dir },
      remedy: "see the message above",
    });
  }
  return measuredSchema.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

/** Full rows of arbitrary tokens, every one trained on: the work of a step does not depend on their values. */
function madeUpBatch(info: ProgramInfo, number: number): Batch {
  const size = info.batch * info.seqLen;
  const inputIds = Int32Array.from(
    { length: size },
    (_, i) => Math.imul(i + 1 + number * size, 2654435761) >>> 8,
  ).map((id) => id % info.vocabSize);
  return { inputIds, labels: inputIds.slice(), segmentIds: new Int32Array(size) };
}

interface Report {
  readonly measured: Measured;
  readonly peakShare?: number;
  readonly buildSeconds?: number;
  readonly warm?: boolean;
  readonly machine?: { readonly flopsPerSecond: number; readonly measured: boolean };
}

function tell(
  report: Report,
  flags: { readonly json?: true | undefined; readonly profile?: true | undefined },
): void {
  const { measured, ...rest } = report;
  if (flags.json === true) return print(JSON.stringify({ ...measured, ...rest }));
  print(table(rowsOf(report)));
  if (flags.profile === true) print(`\n${profileTable(measured)}`);
}

function profileTable({ kernels, secondsPerStep }: Measured): string {
  if (kernels.length === 0) return "this target does not measure its kernels";
  return table([
    ["kernel", "calls a step", "ms a step", "share"],
    ...kernels.map(({ kernel, calls, seconds }) => [
      kernel,
      `${calls}`,
      (1000 * seconds).toFixed(2),
      percent(seconds / secondsPerStep),
    ]),
  ]);
}

function rowsOf(report: Report): string[][] {
  const { measured, peakShare, buildSeconds, warm, machine } = report;
  const kind = machine?.measured === true ? "measured" : "assumed";
  const rows = [
    ["program", measured.name],
    ["tokens/s", grouped(measured.tokensPerSecond)],
    ["time a step", `${duration(measured.secondsPerStep)} (median of ${measured.steps})`],
    ["GFLOP/s", (measured.flopsPerSecond / 1e9).toFixed(1)],
  ];
  if (peakShare !== undefined && machine !== undefined) {
    const peak = `${(machine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`;
    rows.push([`share of the peak, ${kind} now`, `${percent(peakShare)} of ${peak}`]);
  }
  rows.push(
    ["peak RSS", megabytes(measured.peakRssBytes)],
    [
      "arena, planned and used",
      `${megabytes(measured.arenaBytes)}, ${megabytes(measured.arenaUsedBytes)}`,
    ],
    ["allocations in steps", `${measured.stepAllocations}`],
  );
  if (buildSeconds !== undefined) {
    rows.push(["build", `${duration(buildSeconds)}${warm === true ? " (cached)" : ""}`]);
  }
  return rows;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
