/**
 * Runs and times steps of a built program, in a process of its own: peak memory is then the trainer's, not the compiler's.
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PacacError } from "../../errors.ts";
import { publishText } from "../../formats/atomic.ts";
import { userPath } from "../../knobs.ts";
import { ROOT } from "../../spec/evaluate.ts";
import { type Engine, NativeEngine, type Trainer } from "../../train/mod.ts";
import { median } from "../../tune/statistics.ts";
import { note } from "../print.ts";
import { loadOptions, openProgram } from "../program.ts";
import { chromeTrace } from "./chrome_trace.ts";
import { type Variation, VARIATIONS } from "./variations.ts";
import { madeUpBatch, type Workload } from "./workload.ts";

/** The first steps touch every page and wake every thread; they are not counted. */
const WARM_UP = 2;
/** Kernel calls that a trace has room for: some steps of a model of a few dozen layers. */
const TRACED_CALLS = 1 << 14;
/** Steps that a trace keeps. */
const TRACED_STEPS = 2;

const kernelSchema = z.object({
  kernel: z.string(),
  /** Calls a step. */
  calls: z.number(),
  /** A step, until all threads have finished. */
  seconds: z.number(),
  /** A step, without the wait at a call's end, the mean of the threads. */
  worked: z.number(),
  /** Of a call. */
  flops: z.number(),
  bytes: z.number(),
});

const measuredSchema = z.object({
  name: z.string(),
  steps: z.int(),
  secondsPerStep: z.number(),
  /** Of all threads together: what a busy machine stretches least. */
  cpuSecondsPerStep: z.number(),
  tokensPerSecond: z.number(),
  flopsPerSecond: z.number(),
  flopsPerStep: z.number(),
  loss: z.number(),
  peakRssBytes: z.number(),
  arenaBytes: z.number(),
  arenaUsedBytes: z.number(),
  stepAllocations: z.number(),
  /** Instruction set and threads; absent where the program is not native. */
  isa: z.string().optional(),
  threads: z.number().optional(),
  storage: z.enum(["f32", "bf16"]),
  /** By kernel, longest first; empty where the target does not count. */
  kernels: z.array(kernelSchema),
  /** The same of each variant, where variants were asked for. */
  variants: z.array(z.object({
    variant: z.string(),
    secondsPerStep: z.number(),
    cpuSecondsPerStep: z.number(),
    kernels: z.array(kernelSchema),
  })),
});

/** What the measuring process reports. */
export type Measured = z.infer<typeof measuredSchema>;
/** A kernel's part of a step. */
export type KernelTime = z.infer<typeof kernelSchema>;

/** What is measured. */
export interface MeasureOptions {
  readonly weights?: string | undefined;
  readonly steps: number;
  /** Where a Chrome trace is written. */
  readonly trace?: string | undefined;
  /** Steps of each variant in turn, in place of equal ones. */
  readonly vary?: Variation | undefined;
}

/**
 * Runs steps in this process.
 * @param dir The built program
 * @param options Weights, steps, trace, variants
 */
export async function measure(dir: string, options: MeasureOptions): Promise<Measured> {
  const { module } = await openProgram(dir, { target: "cpu", isa: "native" });
  const { weights, steps } = options;
  await using trainer = await module.load(
    loadOptions(weights === undefined ? { init: 0 } : { weights }),
  );
  const { info, engine } = trainer;
  const workloads: Readonly<Record<string, Workload>> = options.vary === undefined
    ? { all: {} }
    : VARIATIONS[options.vary].workloads(info);
  const meters = Object.entries(workloads).map(([name, load]) => new Meter(trainer, name, load));
  for (let step = -WARM_UP; step < steps; step++) {
    for (const meter of meters) await meter.step({ counted: step >= 0 });
    note(`step ${step + WARM_UP + 1}/${steps + WARM_UP}`);
  }
  if (options.trace !== undefined) await writeTrace(trainer, options.trace);
  const [first] = meters.map((meter) => meter.read());
  const { secondsPerStep, cpuSecondsPerStep, kernels } = first;
  const { arenaUsed, stepAllocations } = engine.memory();
  return {
    name: `${info.name} ${info.batch}x${info.seqLen} ${info.storage} ${info.target}`,
    steps,
    secondsPerStep,
    cpuSecondsPerStep,
    tokensPerSecond: info.accumulate * info.batch * info.seqLen / secondsPerStep,
    flopsPerSecond: info.accumulate * info.flopsPerStep / secondsPerStep,
    flopsPerStep: info.accumulate * info.flopsPerStep,
    loss: meters[0].loss,
    // Kilobytes on every system; /proc would need all permissions.
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    arenaBytes: info.arenaBytes,
    arenaUsedBytes: arenaUsed,
    stepAllocations,
    storage: info.storage,
    ...(engine instanceof NativeEngine ? pick(engine.memory()) : {}),
    kernels,
    variants: options.vary === undefined ? [] : meters.map((meter) => meter.read()),
  };
}

function pick(
  { isa, threads }: { isa: string; threads: number },
): { isa: string; threads: number } {
  return { isa, threads };
}

/** Times steps of one workload; steps of others may lie between. */
class Meter {
  loss = NaN;
  readonly #trainer: Trainer;
  readonly #name: string;
  readonly #batches;
  readonly #times: number[] = [];
  readonly #cpuTimes: number[] = [];
  readonly #kernels: KernelTime[][] = [];

  constructor(trainer: Trainer, name: string, workload: Workload) {
    const { info } = trainer;
    this.#trainer = trainer;
    this.#name = name;
    this.#batches = Array.from(
      { length: info.accumulate },
      (_, number) => madeUpBatch(info, { ...workload, number }),
    );
  }

  async step({ counted }: { readonly counted: boolean }): Promise<void> {
    const { engine } = this.#trainer;
    const before = profileOf(engine);
    const cpu = process.cpuUsage();
    const began = performance.now();
    ({ loss: this.loss } = await this.#trainer.step(this.#batches));
    const seconds = (performance.now() - began) / 1000;
    if (!counted) return;
    const { user, system } = process.cpuUsage(cpu);
    this.#times.push(seconds);
    this.#cpuTimes.push((user + system) / 1e6);
    this.#kernels.push(difference(before, profileOf(engine)));
  }

  /** Medians of the steps, of the whole and of each kernel. */
  read(): Measured["variants"][number] {
    const middle = (name: "calls" | "seconds" | "worked", i: number) =>
      median(this.#kernels.map((kernels) => kernels[i][name]));
    const kernels = (this.#kernels.at(0) ?? []).map((kernel, i) => ({
      ...kernel,
      calls: middle("calls", i),
      seconds: middle("seconds", i),
      worked: middle("worked", i),
    })).filter(({ calls }) => calls > 0).sort((a, b) => b.seconds - a.seconds);
    return {
      variant: this.#name,
      secondsPerStep: median(this.#times),
      cpuSecondsPerStep: median(this.#cpuTimes),
      kernels,
    };
  }
}

/** What an engine that counts its kernels' time has counted since it was loaded. */
function profileOf(engine: Engine): KernelTime[] {
  return engine instanceof NativeEngine ? engine.profile() : [];
}

function difference(before: readonly KernelTime[], after: readonly KernelTime[]): KernelTime[] {
  return after.map((kernel, i) => ({
    ...kernel,
    calls: kernel.calls - before[i].calls,
    seconds: kernel.seconds - before[i].seconds,
    worked: kernel.worked - before[i].worked,
  }));
}

/** Runs a few more steps with the trace on; timed steps are not disturbed by it. */
async function writeTrace(trainer: Trainer, file: string): Promise<void> {
  const { engine, info } = trainer;
  if (!(engine instanceof NativeEngine)) {
    throw new PacacError("usage", `Cannot trace: the ${info.target} target keeps no times`, {
      place: { field: "--trace" },
      remedy: "use --target cpu",
    });
  }
  await engine.trace(TRACED_CALLS);
  const batches = Array.from(
    { length: info.accumulate },
    (_, number) => madeUpBatch(info, { number }),
  );
  for (let step = 0; step < TRACED_STEPS; step++) await trainer.step(batches);
  const trace = engine.traced();
  await engine.trace(0);
  publishText(userPath(file), chromeTrace(trace, info));
  const lost = trace.dropped === 0 ? "" : `; ${trace.dropped} later calls found no room`;
  note(`wrote ${trace.calls.length} kernel calls of ${TRACED_STEPS} steps to ${file}${lost}`);
}

/**
 * Runs steps in a process that has loaded nothing else.
 * @param dir The built program
 * @param options Weights, steps, trace, variants
 * @throws {PacacError} load-failed
 */
export async function measureApart(dir: string, options: MeasureOptions): Promise<Measured> {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const permissions = ["read", "write", "run", "env", "sys", "ffi"].map((name) =>
    `--allow-${name}`
  );
  const { weights, trace, vary, steps } = options;
  const given = Object.entries({
    weights: weights === undefined ? undefined : userPath(weights),
    trace: trace === undefined ? undefined : userPath(trace),
    vary,
  }).flatMap(([name, value]) => value === undefined ? [] : [`--${name}`, value]);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--quiet", "--config", `${ROOT}deno.json`, ...permissions, main],
      ...["bench", dir, "--steps", `${steps}`, "--apart", ...given],
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
