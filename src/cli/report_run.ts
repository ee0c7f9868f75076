/**
 * Keeps what a run's report is made of while the run goes on, and writes the page: at checkpoints where that is cheap, and at the end.
 * @module
 */
import { arch, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { processorName } from "../build/processor.ts";
import { findToolchain } from "../build/toolchain.ts";
import { PacacError } from "../errors.ts";
import {
  type DataRecord,
  type KernelRecord,
  readPlan,
  type RunRecord,
  writeRecord,
} from "../report/record.ts";
import {
  type LoadedData,
  NativeEngine,
  type RateSchedule,
  type RunFile,
  summarize,
  type Trainer,
  type TrainEvent,
} from "../train/mod.ts";
import { note, quote } from "./print.ts";
import { writeReport } from "./report.ts";

/** A page in the middle of a run may take this share of the run's time. */
const PAGE_SHARE = 0.01;

/** What a run's report is made of, beside its events. */
export interface ReportSource {
  readonly runDir: string;
  /** The program's folder, for its plan. */
  readonly programDir: string;
  readonly data: LoadedData;
  /** As typed in a shell, to do the same again. */
  readonly command: string;
  /** The flags among it, by name. */
  readonly flags: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly began: string;
  /** By name. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Takes a run's events after they were written down, and makes its report. What hinders that is told, and never ends the run. */
export class Reporter {
  readonly #trainer: Trainer;
  readonly #source: ReportSource;
  readonly #kernels = new Map<string, KernelRecord>();
  #record: RunRecord | undefined;
  #last: readonly KernelRecord[];
  #steps = 0;
  #seconds = 0;
  /** When the next page may be written, in milliseconds. */
  #due = performance.now();

  /**
   * Begins to count.
   * @param trainer The trainer
   * @param source Folders, data, the command
   */
  constructor(trainer: Trainer, source: ReportSource) {
    this.#trainer = trainer;
    this.#source = source;
    this.#last = profileOf(trainer);
  }

  /**
   * Counts the kernels' time of a step: evaluations and samples lie between other events, and are left out.
   * @param event The event
   */
  log(event: TrainEvent): void {
    if (event.type === "start") {
      const { schedule } = event;
      this.#record = attempt(() => {
        const record = recordOf(this.#trainer, { ...this.#source, schedule });
        writeRecord(this.#source.runDir, record);
        return record;
      });
    }
    const now = profileOf(this.#trainer);
    if (event.type === "step") {
      this.#steps++;
      this.#seconds += event.seconds;
      now.forEach((kernel, i) => this.#add(kernel, this.#last[i]));
    }
    this.#last = now;
    if (event.type === "saved" && performance.now() >= this.#due) this.write();
  }

  #add(kernel: KernelRecord, before: KernelRecord): void {
    const sum = this.#kernels.get(kernel.kernel);
    this.#kernels.set(kernel.kernel, {
      ...kernel,
      calls: (sum?.calls ?? 0) + kernel.calls - before.calls,
      seconds: (sum?.seconds ?? 0) + kernel.seconds - before.seconds,
    });
  }

  /**
   * Writes the record and the page as of now.
   * @returns The page's file; nothing before the first step, or where it cannot be
   */
  write(): string | undefined {
    const record = this.#record;
    if (record === undefined || this.#steps === 0) return undefined;
    const began = performance.now();
    const file = attempt(() => this.#write(record));
    const now = performance.now();
    this.#due = now + (now - began) / PAGE_SHARE;
    return file;
  }

  #write(record: RunRecord): string {
    const kernels = [...this.#kernels.values()].filter(({ calls }) => calls > 0);
    const profile = { steps: this.#steps, seconds: this.#seconds, kernels };
    writeRecord(this.#source.runDir, {
      ...record,
      ...(kernels.length === 0 ? {} : { profile }),
    });
    return writeReport(this.#source.runDir);
  }
}

/** What comes of it; nothing, and a warning, where files do not allow it. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PacacError)) throw error;
    note(`warning: the run goes on without its report: ${error.format()}`);
    return undefined;
  }
}

/**
 * Writes the page of a run that was killed between its last step and its page.
 * @param runDir The run's folder
 * @returns The page's file; nothing where it cannot be
 */
export function pageOfEndedRun(runDir: string): string | undefined {
  return attempt(() => writeReport(runDir));
}

/**
 * Seconds of a step at the machine's peak arithmetic; nothing where the program's plan does not know the machine.
 * @param trainer The trainer
 * @param programDir The program's folder
 */
export function leastStepSeconds(trainer: Trainer, programDir: string): number | undefined {
  const { info } = trainer;
  const plan = info.target === "reference" ? undefined : attempt(() => planOf(trainer, programDir));
  return plan && info.accumulate * info.flopsPerStep / plan.machine.flopsPerSecond;
}

/** What an engine that counts its kernels' time has counted since it was loaded. */
function profileOf({ engine }: Trainer): readonly KernelRecord[] {
  return engine instanceof NativeEngine
    ? engine.profile().map(({ worked: _, ...kernel }) => kernel)
    : [];
}

function recordOf(
  trainer: Trainer,
  source: ReportSource & { readonly schedule: RateSchedule },
): RunRecord {
  const { info } = trainer;
  const { command, flags, began, versions } = source;
  const plan = planOf(trainer, source.programDir);
  return {
    version: 1,
    name: info.name,
    target: info.target,
    began,
    command,
    flags,
    settings: settingsOf(trainer, source),
    versions: { ...versions, V8: Deno.version.v8, ...compilerOf(info.target) },
    machine: {
      processor: processorName(),
      cores: cpus().length,
      memoryBytes: totalmem(),
      system: `${type()} ${release()} ${arch()}`,
    },
    flopsPerStep: info.accumulate * info.flopsPerStep,
    data: dataOf(source.data),
    ...(plan === undefined ? {} : { plan }),
  };
}

/** A program for several instruction sets has a plan for each, in its folder. */
function planOf({ engine }: Trainer, dir: string): RunRecord["plan"] {
  const isa = engine instanceof NativeEngine ? engine.memory().isa : "";
  return readPlan(dir) ?? readPlan(join(dir, isa));
}

/**
 * What the report shows of a run's file. The command has every choice that was made for the run, so that it comes out the same
 * where defaults are others.
 * @param run The run's file
 */
export function reportFacts(
  { program, flags, began, versions }: RunFile,
): Pick<ReportSource, "command" | "flags" | "began" | "versions"> {
  const words = Object.entries(flags).flatMap(([flag, value]) =>
    value === true ? [flag] : [value].flat().flatMap((one) => [flag, quote(one)])
  );
  return {
    command: ["deno task train", quote(program.path), ...words].join(" "),
    flags: Object.fromEntries(
      Object.entries(flags).map(([flag, value]) => [flag, value === true ? "yes" : `${value}`]),
    ),
    began,
    versions,
  };
}

function settingsOf(
  { info, seed, weights }: Trainer,
  { schedule }: ReportSource & { readonly schedule: RateSchedule },
): RunRecord["settings"] {
  const { kind, learningRate: _, ...numbers } = info.optimizer;
  const paca = info.method !== "paca"
    ? {}
    : { rank: info.rank, alpha: info.alpha, parametrisation: info.parametrisation };
  return {
    model: info.source === "" ? info.name : info.source,
    ...(weights === undefined ? {} : { weights }),
    method: info.method,
    ...paca,
    steps: schedule.steps,
    "rows a step": info.batch * info.accumulate,
    "rows at once": info.batch,
    "tokens a row": info.seqLen,
    optimizer: kind,
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, `${value}`])),
    "highest learning rate": schedule.learningRate,
    schedule: schedule.kind,
    "warm-up": `${schedule.warmupSteps} steps`,
    "gradients clipped to": info.maxGradNorm === 0 ? "not" : info.maxGradNorm,
    "storage of weights": info.weights,
    "storage of activations": info.storage,
    "seed of the columns": info.seed,
    "seed of the data": seed,
    program: info.hash,
  };
}

/** None where a program was built elsewhere. */
function compilerOf(target: string): Record<string, string> {
  if (target === "reference") return {};
  try {
    return { "C++ compiler": findToolchain().version };
  } catch (error) {
    if (error instanceof PacacError && error.code === "toolchain-missing") return {};
    throw error;
  }
}

function dataOf(data: LoadedData): DataRecord {
  const { train, validation, duplicates, lengths, histogram } = summarize(data);
  const hashes = new Map(data.identity.files.map(({ file, sha256 }) => [file, sha256]));
  return {
    seqLen: data.train.seqLen,
    train,
    ...(validation === undefined ? {} : { validation }),
    duplicates,
    skipped: data.skipped.length,
    lengths,
    histogram: [...histogram],
    files: data.files.map(({ file, format, container, rows, documents }) => ({
      ...{ file, format, container, rows, documents },
      sha256: hashes.get(file) ?? "",
    })),
  };
}
