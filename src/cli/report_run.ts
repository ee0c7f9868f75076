/**
 * What `train` keeps of a run beside its checkpoints: events, samples, and what the report is made from.
 * @module
 */
import { arch, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { processorName } from "../build/processor.ts";
import { findToolchain } from "../build/toolchain.ts";
import { PacacError } from "../errors.ts";
import { readJson } from "../formats/mod.ts";
import {
  type DataRecord,
  type KernelRecord,
  readPlan,
  readRecord,
  type RunRecord,
  writeRecord,
} from "../report/record.ts";
import { ROOT } from "../spec/evaluate.ts";
import {
  JsonlLogger,
  type LoadedData,
  type Logger,
  Loggers,
  NativeEngine,
  type RateSchedule,
  type SampleOptions,
  samplePrompts,
  summarize,
  TensorBoardLogger,
  type Tokenizer,
  type Trainer,
  type TrainEvent,
} from "../train/mod.ts";
import { note } from "./print.ts";

/** Samples where their number is not said, and the seconds that they may take each time. */
const [SAMPLES, SAMPLE_SECONDS] = [2, 8];

/**
 * Lines of JSON always, and what was asked for beside them.
 * @param trainer The trainer
 * @param options The run's folder, the form that was asked for, and who listens too
 * @throws {PacacError} io
 */
export function openLoggers(
  { stepsDone }: Trainer,
  { runDir, log, others }: {
    readonly runDir: string;
    readonly log: "tensorboard" | undefined;
    readonly others: readonly Logger[];
  },
): Loggers {
  const lines = new JsonlLogger(join(runDir, "metrics.jsonl"), stepsDone);
  const curves = log === undefined
    ? []
    : [new TensorBoardLogger(join(runDir, "tensorboard"), stepsDone)];
  return new Loggers([lines, ...curves, ...others]);
}

/**
 * Which samples are taken; those that were not asked for must not take long.
 * @param data Loaded data
 * @param options How many, where it is said; the tokenizer
 */
export function samplesOf(
  data: LoadedData,
  { count, tokenizer }: { readonly count: number | undefined; readonly tokenizer: Tokenizer },
): SampleOptions {
  const prompts = samplePrompts(data, { count: count ?? SAMPLES, tokenizer });
  if (count !== undefined) return { prompts, tokenizer };
  return {
    prompts,
    tokenizer,
    limitSeconds: SAMPLE_SECONDS,
    onGivenUp: () => note("no samples: they take too long here; --samples N asks for them"),
  };
}

/** What a run is recorded from. */
export interface RecordOptions {
  readonly runDir: string;
  /** The program's folder, for its plan. */
  readonly programDir: string;
  /** As typed in a shell, to do the same again. */
  readonly command: string;
  readonly data: LoadedData;
  readonly steps: number;
  /** What is not the model description's in the course of the learning rate. */
  readonly schedule: Partial<RateSchedule>;
}

/** Writes run.json when a run begins, and again with the kernels' times when it ends. */
export class RunRecorder implements Logger {
  readonly #trainer: Trainer;
  readonly #runDir: string;
  readonly #record: RunRecord;
  readonly #kernels = new Map<string, KernelRecord>();
  #last: readonly KernelRecord[];
  #steps = 0;
  #seconds = 0;

  /**
   * Writes what is known of a run that begins, or goes on.
   * @param trainer The trainer
   * @param options Folders, command, data
   * @throws {PacacError} io
   */
  constructor(trainer: Trainer, options: RecordOptions) {
    this.#trainer = trainer;
    this.#runDir = options.runDir;
    this.#record = recordOf(trainer, options);
    this.#last = profileOf(trainer);
    writeRecord(this.#runDir, this.#record);
  }

  /**
   * Counts the kernels' time of a step: evaluations and samples lie between other events, and are left out.
   * @param event The event
   */
  log(event: TrainEvent): void {
    const now = profileOf(this.#trainer);
    if (event.type === "step") {
      this.#steps++;
      this.#seconds += event.seconds;
      now.forEach((kernel, i) => this.#add(kernel, this.#last[i]));
    }
    this.#last = now;
  }

  #add(kernel: KernelRecord, before: KernelRecord): void {
    const sum = this.#kernels.get(kernel.kernel);
    this.#kernels.set(kernel.kernel, {
      ...kernel,
      calls: (sum?.calls ?? 0) + kernel.calls - before.calls,
      seconds: (sum?.seconds ?? 0) + kernel.seconds - before.seconds,
      worked: (sum?.worked ?? 0) + kernel.worked - before.worked,
    });
  }

  /**
   * Writes what is known now that the run ends.
   * @throws {PacacError} io
   */
  finish(): void {
    const kernels = [...this.#kernels.values()].filter(({ calls }) => calls > 0);
    if (kernels.length === 0) return;
    const profile = { steps: this.#steps, seconds: this.#seconds, kernels };
    writeRecord(this.#runDir, { ...this.#record, profile });
  }

  /** Nothing is held. */
  [Symbol.dispose](): void {}
}

/** What an engine that counts its kernels' time has counted since it was loaded. */
function profileOf({ engine }: Trainer): readonly KernelRecord[] {
  return engine instanceof NativeEngine ? engine.profile() : [];
}

function recordOf(trainer: Trainer, options: RecordOptions): RunRecord {
  const { info } = trainer;
  const before = trainer.stepsDone === 0 ? undefined : readRecord(options.runDir);
  const plan = readPlan(options.programDir);
  return {
    version: 1,
    name: info.name,
    target: info.target,
    started: before?.started ?? Date.now(),
    command: options.command,
    settings: settingsOf(trainer, options),
    versions: versions(info.target),
    machine: {
      processor: processorName(),
      cores: cpus().length,
      memoryBytes: totalmem(),
      system: `${type()} ${release()} ${arch()}`,
    },
    flopsPerStep: info.accumulate * info.flopsPerStep,
    data: dataOf(options.data),
    ...(plan === undefined ? {} : { plan }),
  };
}

function settingsOf(trainer: Trainer, options: RecordOptions): RunRecord["settings"] {
  const { info, seed, weights } = trainer;
  const { optimizer } = info;
  const schedule = { ...info.schedule, ...options.schedule };
  const paca = info.method !== "paca"
    ? {}
    : { rank: info.rank, alpha: info.alpha, parametrisation: info.parametrisation };
  return {
    model: info.source === "" ? info.name : info.source,
    ...(weights === undefined ? {} : { weights }),
    method: info.method,
    ...paca,
    steps: options.steps,
    "rows a step": info.batch * info.accumulate,
    "rows at once": info.batch,
    "tokens a row": info.seqLen,
    optimizer: optimizer.kind,
    "learning rate": optimizer.learningRate,
    betas: `${optimizer.beta1}, ${optimizer.beta2}`,
    "weight decay": optimizer.weightDecay,
    schedule: schedule.kind,
    "warm-up": schedule.warmupSteps === undefined
      ? `${schedule.warmup} of the steps`
      : `${schedule.warmupSteps} steps`,
    "gradients clipped to": info.maxGradNorm === 0 ? "not" : info.maxGradNorm,
    "storage of weights": info.storage,
    "seed of the columns": info.seed,
    "seed of the data": seed,
    program: info.hash,
    "data read with": options.data.identity.options,
  };
}

function versions(target: string): Record<string, string> {
  const own = readJson(join(ROOT, "deno.json"), { code: "io" });
  const known = typeof own === "object" && own !== null && "version" in own ? own.version : "?";
  return {
    pacac: String(known),
    Deno: Deno.version.deno,
    V8: Deno.version.v8,
    ...(target === "cpu" ? compiler() : {}),
  };
}

/** None where a program was built elsewhere. */
function compiler(): Record<string, string> {
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
