/**
 * `train`: fine-tunes a model on a data file and saves the adapter.
 * @module
 */
import type { Command as PlainCommand } from "commander";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import {
  type DataIdentity,
  loadTokenizer,
  locateRun,
  rowsOfEpoch,
  type RunFile,
  RunLock,
  type SampleOptions,
  type ScheduleSettings,
  type ScheduleSpan,
  type Tokenizer,
  type Trainer,
  type TrainEvent,
  type TrainingData,
  type TrainOptions,
  withSamples,
} from "../train/mod.ts";
import { cardOf } from "./card.ts";
import { describeData, type ReadData, readData } from "./data_input.ts";
import { Interrupt } from "./interrupt.ts";
import { duration, grouped, note, print, quote } from "./print.ts";
import { loadOptions, openProgram, runFolder, tokenizerFolder } from "./program.ts";
import { Progress } from "./progress.ts";
import { openLoggers, samplesOf } from "./report_run.ts";
import { Exit } from "./run.ts";
import { clearRun, recordRun, requireFinished, type RunToRecord } from "./run_record.ts";
import { flagsOf, resumedFlags, type TrainFlags, trainOptions } from "./run_settings.ts";

/** What {@linkcode fineTuneOn} takes beside the trainer. */
export interface RunOptions {
  readonly data: TrainingData;
  /** Measured at the end. */
  readonly validation?: TrainingData | undefined;
  readonly steps: number;
  /** Folder for the adapter and the checkpoint. */
  readonly runDir: string;
  readonly adapterFormat: "peft" | "paca" | "lora";
  readonly saving?: SavingFlags;
  /** What the data is; a resumed run goes on with the same alone. */
  readonly identity?: DataIdentity;
  /** What the validation data is, where it comes from files of its own. */
  readonly validationIdentity?: DataIdentity | undefined;
  /** What the adapter's card says of the run; little where nothing is given. */
  readonly record?: RunFile;
  /** Whether events are printed as lines of JSON. */
  readonly json: boolean;
  /** In which form they are kept beside lines of JSON. */
  readonly log?: "tensorboard" | undefined;
  /** What is answered before and after. */
  readonly samples?: SampleOptions | undefined;
  /** How to go on after an interrupt. */
  readonly resumeCommand: string;
}

/** Flags about checkpoints and evaluations, as typed. */
interface SavingFlags {
  readonly saveEvery?: number | undefined;
  readonly saveMinutes?: number | undefined;
  readonly keep?: number | undefined;
  readonly evaluateEvery?: number | undefined;
  readonly patience?: number | undefined;
  readonly onNan?: "stop" | "skip" | undefined;
  readonly schedule?: ScheduleSettings["kind"] | undefined;
  readonly warmup?: ScheduleSpan | undefined;
  readonly decay?: ScheduleSpan | undefined;
  readonly floor?: number | undefined;
  readonly learningRate?: number | undefined;
}

/** The command. */
export function trainCommand(): PlainCommand {
  const command = trainOptions();
  return command.action(async (path, typed) => {
    const run = await openRun(path, typed, command as unknown as PlainCommand);
    const { flags, program, runDir } = run;
    using _lock = RunLock.take(runDir);
    if (typed.resume === undefined && typed.restart !== true) requireFinished(runDir);
    const { checkpoint } = run;
    await using trainer = await program.module.load(
      loadOptions({ ...flags, ...(checkpoint === undefined ? {} : { adapter: undefined }) }),
    );
    const { seqLen } = trainer.info;
    const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
    const data = await readData(run.inputs, { ...flags, tokenizer, seqLen });
    if (checkpoint !== undefined) {
      await trainer.loadCheckpoint(checkpoint);
      if (run.before !== undefined && trainer.run.data === undefined) throw otherRun(checkpoint);
    } else if (typed.resume !== undefined) note("the run has no checkpoint yet: it begins anew");
    note(describeData(data));
    const steps = stepsOf(trainer, data.train, { ...flags, isResumed: run.before !== undefined });
    if (typed.resume === undefined) clearRun(runDir);
    const record = await recordRun(run, { trainer, data, steps });
    await trainTo(steps, { run, trainer, tokenizer, data, record });
    if (flags.json !== true) {
      const { weights } = flags;
      note(nextCommand(run.path, { weights, runDir, trainer }));
    }
  }) as unknown as PlainCommand;
}

/** A run that is to begin or to go on. */
interface OpenRun extends RunToRecord {
  readonly inputs: readonly string[];
}

/** What is typed, or what the run's folder says, with the program ready. */
async function openRun(
  given: string | undefined,
  typed: TrainFlags,
  command: PlainCommand,
): Promise<OpenRun> {
  const place = typed.resume === undefined ? {} : locateRun(userPath(typed.resume));
  const resumed = place.runDir === undefined ? undefined : resumedFlags(place.runDir, command);
  const { path, flags } = resumed ?? { path: given, flags: typed };
  if (path === undefined) throw missing("no model description is named", typed.resume);
  if (flags.data === undefined) throw missing("no data is named", typed.resume);
  const { target, isa, threads, weights } = flags;
  const program = await openProgram(path, { target, isa, threads, weights });
  const runDir = typed.out !== undefined
    ? userPath(typed.out)
    : place.runDir ?? runFolder(program.dir);
  await makeFolder(runDir);
  return {
    path: userPath(path),
    flags,
    inputs: flags.data,
    program,
    runDir,
    kept: resumed?.kept ?? flagsOf(command),
    ...(place.checkpoint === undefined ? {} : { checkpoint: place.checkpoint }),
    ...(resumed === undefined ? {} : { before: resumed.before }),
  };
}

function missing(state: string, resume: string | undefined): PacacError {
  return new PacacError("usage", `Cannot train: ${state}`, {
    remedy: resume === undefined
      ? "write deno task train SPEC --data FILE, or deno task train --resume DIR"
      : "the folder has a checkpoint and no run.json: name SPEC and --data FILE as when it began",
  });
}

/** A program may save into a run's folder; what it was trained on is not known then. */
function otherRun(checkpoint: string): PacacError {
  return new PacacError(
    "checkpoint-invalid",
    "Cannot resume: the checkpoint does not say what it was trained on, so it is not of this run",
    {
      place: { file: checkpoint },
      remedy: "remove run.json beside it, and name program and data as when it was written",
    },
  );
}

/** What a run's parts are once all is read. */
interface Loaded {
  readonly run: OpenRun;
  readonly trainer: Trainer;
  readonly tokenizer: Tokenizer;
  readonly data: ReadData;
  readonly record: RunFile;
}

/** Trains to the last step; a run that was killed behind it only saves what it was killed before. */
async function trainTo(
  steps: number,
  { run, trainer, tokenizer, data, record }: Loaded,
): Promise<void> {
  const { flags, runDir } = run;
  const { train, validation, identity, validationIdentity } = data;
  const options: RunOptions = {
    data: train,
    validation,
    steps,
    runDir,
    adapterFormat: flags.adapterFormat,
    saving: flags,
    identity,
    validationIdentity,
    record,
    json: flags.json === true,
    log: flags.log,
    samples: samplesOf(data, { count: flags.samples, tokenizer }),
    resumeCommand: `deno task train --resume ${quote(runDir)}`,
  };
  if (trainer.stepsDone < steps) {
    await fineTuneOn(trainer, options);
    return;
  }
  note(`all ${steps} steps of the run are done`);
  tellSaved(await saveResult(trainer, options), options);
}

/**
 * Runs the loop with progress, saving on Ctrl-C.
 * @param trainer The trainer
 * @param options Data, steps, folders
 * @returns The losses of all steps
 * @throws {Exit} after an interrupt, once everything is saved
 */
export async function fineTuneOn(trainer: Trainer, options: RunOptions): Promise<number[]> {
  const { data, validation, steps, runDir, json, identity, validationIdentity } = options;
  const losses: number[] = [];
  const progress = new Progress();
  using interrupt = new Interrupt("Finishing this step, then saving");
  const events = trainer.train({
    data,
    steps,
    signal: interrupt.signal,
    checkpoint: join(runDir, "checkpoint"),
    ...(validation === undefined ? {} : { validation }),
    ...savingOptions(options),
    ...(identity === undefined ? {} : { identity }),
    ...(validationIdentity === undefined ? {} : { validationIdentity }),
  });
  using logs = openLoggers(trainer, { runDir, log: options.log });
  const { signal } = interrupt;
  const sampled = options.samples === undefined
    ? events
    : withSamples(trainer, events, { ...options.samples, signal });
  for await (const event of sampled) {
    logs.log(event);
    if (json) print(JSON.stringify(event));
    else show(event, progress);
    if (event.type !== "step") continue;
    losses.push(event.loss);
    // An engine that computes on this thread, as the reference's, leaves signals no turn otherwise.
    await new Promise((resume) => setTimeout(resume));
  }
  progress.end();
  tellSaved(await saveResult(trainer, options), options);
  if (!interrupt.signal.aborted || trainer.stepsDone >= steps) return losses;
  note(
    `stopped after step ${trainer.stepsDone} of ${steps}; go on with\n  ${options.resumeCommand}`,
  );
  throw new Exit(interrupt.exitCode);
}

function savingOptions({ saving = {}, runDir }: RunOptions): Partial<TrainOptions> {
  const { saveEvery, saveMinutes, keep, evaluateEvery, patience, onNan } = saving;
  const { schedule, warmup, decay, floor, learningRate } = saving;
  return {
    ...(saveEvery === undefined ? {} : { saveEvery }),
    ...(saveMinutes === undefined ? {} : { saveMinutes }),
    ...(keep === undefined ? {} : { keep }),
    ...(evaluateEvery === undefined ? {} : { evaluateEvery, best: join(runDir, "best") }),
    ...(patience === undefined ? {} : { patience }),
    schedule: {
      ...(schedule === undefined ? {} : { kind: schedule }),
      ...(warmup === undefined ? {} : { warmup }),
      ...(decay === undefined ? {} : { decay }),
      ...(floor === undefined ? {} : { floor }),
    },
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(onNan === undefined ? {} : { onNan }),
  };
}

/** Before the work, not after it. */
async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    throw new PacacError("io", "Cannot make the run's folder: the system refuses", {
      place: { file: dir },
      remedy: "choose another with --out",
      cause,
    });
  }
}

interface Saved {
  readonly what: "adapter" | "model";
  readonly dir: string;
}

async function saveResult(
  trainer: Trainer,
  { runDir, adapterFormat, record }: RunOptions,
): Promise<Saved> {
  if (trainer.info.method === "full") {
    const dir = join(runDir, "model");
    await trainer.saveMerged(dir);
    return { what: "model", dir };
  }
  const dir = join(runDir, "adapter");
  const card = record === undefined ? {} : { card: cardOf(trainer, { runDir, run: record }) };
  await trainer.saveAdapter(dir, { format: adapterFormat, ...card });
  return { what: "adapter", dir };
}

function tellSaved(saved: Saved, { json }: RunOptions): void {
  if (json) print(JSON.stringify({ type: "adapter", ...saved }));
  else note(`${saved.what} ${saved.dir}`);
}

function show(event: TrainEvent, progress: Progress): void {
  switch (event.type) {
    case "start":
      return note(
        `${
          grouped(event.parameters)
        } trained parameters, steps ${event.step} to ${event.steps} of ` +
          `${event.batch * event.accumulate} rows of ${event.seqLen} tokens`,
      );
    case "step":
      return progress.step(event);
    case "eval":
      progress.end();
      return note(`validation loss ${event.loss.toFixed(4)} after step ${event.step}`);
    case "sample":
      return;
    case "skipped":
      progress.end();
      return note(`${event.reason}; passed over ${event.rows.join(", ")}`);
    case "stopped":
      progress.end();
      return note(
        `stopped early: no validation loss below ${event.loss.toFixed(4)} ` +
          `since step ${event.bestStep}`,
      );
    case "saved":
      progress.end();
      return note(`checkpoint ${event.dir}`);
    case "interrupted":
      return progress.end();
    case "done":
      progress.end();
      return note(
        `${grouped(event.tokens)} tokens in ${duration(event.seconds)}, ` +
          `${grouped(event.tokensPerSecond)} tokens/s, last loss ${event.loss.toFixed(4)}`,
      );
  }
}

function stepsOf(
  { info, stepsDone }: Trainer,
  data: TrainingData,
  flags: {
    readonly steps?: number | undefined;
    readonly epochs?: number | undefined;
    readonly isResumed: boolean;
  },
): number {
  const aStep = info.batch * info.accumulate;
  const steps = flags.steps ?? Math.ceil((flags.epochs ?? 1) * rowsOfEpoch(data) / aStep);
  if (steps > stepsDone || (flags.isResumed && steps === stepsDone)) return steps;
  throw new PacacError("usage", `Cannot train ${steps} steps: the checkpoint is at ${stepsDone}`, {
    remedy: "--steps counts from the very beginning; give more of them",
  });
}

function nextCommand(
  path: string,
  { weights, runDir, trainer }: {
    readonly weights: string | undefined;
    readonly runDir: string;
    readonly trainer: Trainer;
  },
): string {
  const own = trainer.info.method === "full"
    ? `--weights ${quote(join(runDir, "model"))}`
    : `${weights === undefined ? "" : `--weights ${quote(weights)} `}--adapter ${
      quote(join(runDir, "adapter"))
    }`;
  return `try it with\n  deno task generate ${quote(path)} ${own} --prompt "…"`;
}
