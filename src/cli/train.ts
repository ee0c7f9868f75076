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
  answerSamples,
  loadTokenizer,
  locateRun,
  rowsOfEpoch,
  type RunFile,
  RunLock,
  samplePrompts,
  type Tokenizer,
  type Trainer,
  type TrainingData,
} from "../train/mod.ts";
import { openWriter } from "./answer.ts";
import { describeData, type ReadData, readData } from "./data_input.ts";
import { fineTuneOn, type RunOptions, type Sampling, saveResult, tellReport } from "./fine_tune.ts";
import { note, quote } from "./print.ts";
import { loadOptions, openProgram, runFolder, tokenizerFolder } from "./program.ts";
import { pageOfEndedRun, reportFacts } from "./report_run.ts";
import { clearRun, recordRun, requireFinished, type RunToRecord } from "./run_record.ts";
import { flagsOf, resumedFlags, type TrainFlags, trainOptions } from "./run_settings.ts";

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
    report: { programDir: run.program.dir, data, ...reportFacts(record) },
    json: flags.json === true,
    log: flags.log,
    samples: flags.samples === undefined
      ? undefined
      : samplingOf(run, { trainer, tokenizer, data, count: flags.samples }),
    resumeCommand: `deno task train --resume ${quote(runDir)}`,
  };
  if (trainer.stepsDone < steps) {
    await fineTuneOn(trainer, options);
    return;
  }
  note(`all ${steps} steps of the run are done`);
  await saveResult(trainer, options);
  tellReport(pageOfEndedRun(runDir), options.json);
}

/**
 * Answers by a program that is compiled for writing text. A built folder has no description to compile: there the trainer
 * itself answers, one whole forward a token.
 */
function samplingOf(
  { flags, program, runDir }: OpenRun,
  { trainer, tokenizer, data, count }: {
    readonly trainer: Trainer;
    readonly tokenizer: Tokenizer;
    readonly data: ReadData;
    readonly count: number;
  },
): Sampling {
  const prompts = samplePrompts(data, { count, tokenizer });
  return async function* (when, signal) {
    const given = { prompts, tokenizer, step: trainer.stepsDone, signal };
    if (program.loaded === undefined) return yield* answerSamples(trainer, given);
    const { target, isa, threads, weights, adapter, init } = flags;
    const after = trainer.info.method === "full"
      ? { weights: join(runDir, "model") }
      : { weights, init, adapter: join(runDir, "adapter") };
    await using writer = await openWriter(program.loaded, {
      // Programs for a GPU do not write text, and the cpu's read the same adapter.
      target: target === "cuda" ? "cpu" : target,
      isa,
      threads,
      ...(when === "before" ? { weights, adapter, init } : after),
    });
    yield* answerSamples(writer.decoder, { ...given, stop: writer.stop });
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
