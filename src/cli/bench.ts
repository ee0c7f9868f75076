/**
 * `bench`: training speed and memory on made-up batches; by kernel, as a timeline, against size; the thread pool's cost.
 *
 * The steps run in a process of their own, so that peak memory is the trainer's and not the compiler's.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { poolCost } from "../build/pool_cost.ts";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import { loadSpec } from "../spec/load.ts";
import { measure, measureApart, type Measured, type MeasureOptions } from "./bench/measure.ts";
import { bestOf, peaksText, profileTable } from "./bench/roofline.ts";
import { scaling } from "./bench/scaling.ts";
import { variationTable } from "./bench/variations.ts";
import { option, threadCount } from "./flags.ts";
import { duration, grouped, megabytes, percent, print, table } from "./print.ts";
import { type CompileFlags, compileSpec } from "./program.ts";

const DEFAULT_SPEC = `${ROOT}models/smollm2.ts`;

/** The command. */
export function benchCommand(): PlainCommand {
  return new Command()
    .argument("[program]", "Model description (models/smollm2.ts if not said), or a built folder")
    .addOption(option.weights())
    .addOption(option.steps())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.database())
    .addOption(option.defaults())
    .addOption(option.profile())
    .addOption(option.trace())
    .addOption(option.vary())
    .addOption(option.sweep())
    .addOption(option.pool())
    .addOption(option.json())
    .addOption(option.apart())
    .action(async (path, flags) => {
      if (flags.pool === true) return print(await poolTable(threadCount(flags.threads)));
      if (flags.sweep !== undefined) return print(await sweep(flags.sweep, flags));
      const steps = flags.steps ?? 10;
      const full = path === undefined ? DEFAULT_SPEC : userPath(path);
      const what = { steps, weights: flags.weights, trace: flags.trace, vary: flags.vary };
      if (flags.apart === true) return print(JSON.stringify(await measure(full, what)));
      const info = await stat(full).catch(() => undefined);
      const built = info?.isDirectory() === true ? asItIs(full, flags) : await build(full, flags);
      tell(await report(built, what), flags);
    }) as unknown as PlainCommand;
}

/** A program to measure; where it was compiled now, with what that took. */
interface Built {
  readonly dir: string;
  readonly buildSeconds?: number;
  readonly warm?: boolean;
  readonly isa?: string;
  readonly threads?: number;
  readonly storage?: "f32" | "bf16";
  /** Where the kernels' parameters come from. */
  readonly parameters?: string;
}

/** A built folder: what was chosen when it was compiled stays. */
function asItIs(dir: string, { db, tuned }: CompileFlags): Built {
  if (db === undefined && tuned !== false) return { dir };
  throw new PacacError("usage", "Cannot choose tuned values: the folder is compiled already", {
    place: { file: dir, field: db === undefined ? "--no-tuned" : "--db" },
    remedy: "name the model description in place of the folder",
  });
}

async function build(path: string, flags: CompileFlags): Promise<Built> {
  const compiled = await compileSpec(await loadSpec(path), flags);
  const { dir, seconds, warm, plan, parameters: { tuned, tunable } = NONE } = compiled;
  const buildSeconds = Object.values(seconds).reduce((sum, took) => sum + took, 0);
  const machine = plan.target.name === "cpu"
    ? { isa: plan.target.isa.name, threads: plan.threads, storage: plan.info.storage }
    : {};
  const parameters = tuned === 0 ? "defaults" : `tuned for ${tuned} of ${tunable} kernels`;
  return { dir, buildSeconds, warm, ...machine, parameters };
}

const NONE = { tuned: 0, tunable: 0 } as const;

interface Peak {
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly measured: boolean;
}

interface Report {
  readonly measured: Measured;
  /** The machine's rates before and after the steps: a shared machine's move from minute to minute. */
  readonly peaks: readonly Peak[];
  readonly peakShare?: number;
  readonly buildSeconds?: number;
  readonly warm?: boolean;
  readonly parameters?: string;
}

/** What peaks are measured for; nothing where the program is not native. */
interface On {
  readonly isa?: string | undefined;
  readonly threads?: number | undefined;
  readonly storage?: "f32" | "bf16" | undefined;
}

/** Measures the machine, the steps, and the machine again. */
async function report(built: Built, what: MeasureOptions): Promise<Report> {
  const { dir, isa, threads, storage, ...rest } = built;
  const peak = async (on: On) => {
    if (on.isa === undefined || on.threads === undefined || on.storage === undefined) return [];
    const { machineNow } = await import("../compile.ts");
    return [await machineNow(on.isa, on.threads, on.storage)];
  };
  const before = await peak({ isa, threads, storage });
  const measured = await measureApart(dir, what);
  const after = await peak(measured);
  const peaks = [...before, ...after];
  if (peaks.length === 0) return { measured, peaks, ...rest };
  const peakShare = measured.flopsPerSecond / bestOf(peaks).flopsPerSecond;
  return { measured, peaks, peakShare, ...rest };
}

function tell(
  report: Report,
  flags: { readonly json?: true | undefined; readonly profile?: true | undefined },
): void {
  const { measured, ...rest } = report;
  if (flags.json === true) return print(JSON.stringify({ ...measured, ...rest }));
  print(table(rowsOf(report)));
  if (measured.variants.length > 0) print(`\n${variationTable(measured)}`);
  if (flags.profile === true) print(`\n${profileTable(measured, report.peaks)}`);
}

function rowsOf(report: Report): string[][] {
  const { measured, peakShare, buildSeconds, warm, peaks, parameters } = report;
  const kind = peaks.every((peak) => peak.measured) ? "measured" : "assumed";
  const rows = [
    ["program", measured.name],
    ["tokens/s", grouped(measured.tokensPerSecond)],
    ["time a step", `${duration(measured.secondsPerStep)} (median of ${measured.steps})`],
    ["GFLOP/s", (measured.flopsPerSecond / 1e9).toFixed(1)],
  ];
  if (peakShare !== undefined) {
    rows.push([`${kind} peak`, peaksText(peaks)], ["share of the peak", percent(peakShare)]);
  }
  rows.push(
    ["peak RSS", megabytes(measured.peakRssBytes)],
    [
      "arena, planned and used",
      `${megabytes(measured.arenaBytes)}, ${megabytes(measured.arenaUsedBytes)}`,
    ],
    ["allocations in steps", `${measured.stepAllocations}`],
  );
  if (parameters !== undefined) rows.push(["kernels' parameters", parameters]);
  if (buildSeconds !== undefined) {
    rows.push(["build", `${duration(buildSeconds)}${warm === true ? " (cached)" : ""}`]);
  }
  return rows;
}

/** What a region of the thread pool costs here, in four situations. */
async function poolTable(threads: number): Promise<string> {
  const costs = await poolCost(threads);
  return table([
    ["threads", "", "ns between kernels", "90th percentile", "us of a hand-over, once a step"],
    ...costs.map(({ situation, threads, regionNs, region90Ns, handOverUs }) => [
      situation,
      `${threads}`,
      grouped(regionNs),
      grouped(region90Ns),
      handOverUs.toFixed(1),
    ]),
  ]);
}

async function sweep(
  kind: "length" | "width" | "depth" | "all",
  flags: CompileFlags,
): Promise<string> {
  if (flags.target !== "cpu") {
    throw new PacacError("usage", `Cannot sweep on ${flags.target}: it is not timed`, {
      place: { field: "--sweep" },
      remedy: "use --target cpu",
    });
  }
  const results = join(ROOT, "tests/bench/results");
  const out = join(ROOT, "generated", "scaling");
  return await scaling({ sweep: kind, flags: { ...flags, out }, results });
}
