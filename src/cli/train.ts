/**
 * `train`: fine-tunes a model on a data file and saves the adapter.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import {
  type DataIdentity,
  type LoadedData,
  loadTokenizer,
  type RateSchedule,
  rowsOfEpoch,
  RunLock,
  type SampleOptions,
  type Trainer,
  type TrainEvent,
  type TrainingData,
  type TrainOptions,
  withSamples,
} from "../train/mod.ts";
import { describeData, readData } from "./data_input.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { duration, grouped, note, print } from "./print.ts";
import { loadOptions, openProgram, runFolder, tokenizerFolder } from "./program.ts";
import { Progress } from "./progress.ts";
import { writeReport } from "./report.ts";
import { openLoggers, RunRecorder, samplesOf } from "./report_run.ts";
import { Exit } from "./run.ts";

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
  /** Whether events are printed as lines of JSON. */
  readonly json: boolean;
  /** In which form they are kept beside lines of JSON. */
  readonly log?: "tensorboard" | undefined;
  /** What is answered before and after. */
  readonly samples?: SampleOptions | undefined;
  /** What the report is made from; none is written where it is not said. */
  readonly record?: {
    readonly programDir: string;
    readonly command: string;
    readonly data: LoadedData;
  };
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
  readonly schedule?: RateSchedule["kind"] | undefined;
  readonly warmup?: number | undefined;
}

/** The command. */
export function trainCommand(): PlainCommand {
  return new Command()
    .argument("<program>", "Model description (a .ts file), or a folder that compile wrote")
    .addOption(option.data())
    .addOption(option.format())
    .addOption(option.map())
    .addOption(option.skipBad())
    .addOption(option.trainOn())
    .addOption(option.packing())
    .addOption(option.validation())
    .addOption(option.weights())
    .addOption(option.adapter())
    .addOption(option.init())
    .addOption(option.steps())
    .addOption(option.epochs())
    .addOption(option.runDir())
    .addOption(option.adapterFormat())
    .addOption(option.saveEvery())
    .addOption(option.saveMinutes())
    .addOption(option.keep())
    .addOption(option.evaluateEvery())
    .addOption(option.patience())
    .addOption(option.onNan())
    .addOption(option.schedule())
    .addOption(option.warmup())
    .addOption(option.resume())
    .addOption(option.seed())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.log())
    .addOption(option.samples())
    .addOption(option.events())
    .action(async (path, flags) => {
      const { target, isa, threads, weights } = flags;
      const program = await openProgram(path, { target, isa, threads, weights });
      const runDir = runDirOf(program.dir, flags);
      await makeFolder(runDir);
      using _lock = RunLock.take(runDir);
      await using trainer = await program.module.load(loadOptions(flags));
      const { seqLen } = trainer.info;
      const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
      const data = await readData(flags.data, { ...flags, tokenizer, seqLen });
      if (flags.resume !== undefined) await trainer.loadCheckpoint(checkpointOf(flags.resume));
      note(describeData(data));
      const { train, validation } = data;
      const steps = stepsOf(trainer, train, flags);
      const again = { ...flags, steps, runDir };
      await fineTuneOn(trainer, {
        data: train,
        validation,
        steps,
        runDir,
        adapterFormat: flags.adapterFormat,
        saving: flags,
        identity: data.identity,
        json: flags.json === true,
        log: flags.log,
        samples: samplesOf(data, { count: flags.samples, tokenizer }),
        record: { programDir: program.dir, data, command: runCommand(path, again) },
        resumeCommand: `${runCommand(path, again)} --resume ${quote(join(runDir, "checkpoint"))}`,
      });
      if (flags.json !== true) note(nextCommand(path, { weights, runDir, trainer }));
    }) as unknown as PlainCommand;
}

/**
 * Runs the loop with progress, saving on Ctrl-C.
 * @param trainer The trainer
 * @param options Data, steps, folders
 * @returns The losses of all steps
 * @throws {Exit} after an interrupt, once everything is saved
 */
export async function fineTuneOn(trainer: Trainer, options: RunOptions): Promise<number[]> {
  const { data, validation, steps, runDir, json, identity } = options;
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
  });
  const recorder = options.record === undefined
    ? undefined
    : new RunRecorder(trainer, { ...options.record, runDir, steps, schedule: scheduleOf(options) });
  const others = recorder === undefined ? [] : [recorder];
  using logs = openLoggers(trainer, { runDir, log: options.log, others });
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
  const saved = await saveResult(trainer, options);
  if (json) print(JSON.stringify({ type: "adapter", ...saved }));
  else note(`${saved.what} ${saved.dir}`);
  recorder?.finish();
  if (recorder !== undefined && losses.length > 0) note(`report ${writeReport(runDir)}`);
  if (!interrupt.signal.aborted || trainer.stepsDone >= steps) return losses;
  note(
    `stopped after step ${trainer.stepsDone} of ${steps}; go on with\n  ${options.resumeCommand}`,
  );
  throw new Exit(interrupt.exitCode);
}

function savingOptions({ saving = {}, runDir }: RunOptions): Partial<TrainOptions> {
  const { saveEvery, saveMinutes, keep, evaluateEvery, patience, onNan } = saving;
  return {
    ...(saveEvery === undefined ? {} : { saveEvery }),
    ...(saveMinutes === undefined ? {} : { saveMinutes }),
    ...(keep === undefined ? {} : { keep }),
    ...(evaluateEvery === undefined ? {} : { evaluateEvery, best: join(runDir, "best") }),
    ...(patience === undefined ? {} : { patience }),
    schedule: scheduleOf({ saving }),
    ...(onNan === undefined ? {} : { onNan }),
  };
}

function scheduleOf({ saving = {} }: Pick<RunOptions, "saving">): Partial<RateSchedule> {
  const { schedule, warmup } = saving;
  return {
    ...(schedule === undefined ? {} : { kind: schedule }),
    ...(warmup === undefined ? {} : warmup < 1 ? { warmup } : { warmupSteps: warmup }),
  };
}

/** A run that goes on stays in its folder. */
function runDirOf(
  programDir: string,
  flags: { readonly out?: string | undefined; readonly resume?: string | undefined },
): string {
  if (flags.out !== undefined) return userPath(flags.out);
  if (flags.resume === undefined) return runFolder(programDir);
  const checkpoint = checkpointOf(flags.resume);
  return basename(checkpoint) === "checkpoint" ? dirname(checkpoint) : runFolder(programDir);
}

/** A run's folder stands for the checkpoint in it. */
function checkpointOf(given: string): string {
  const path = userPath(given), inRun = join(path, "checkpoint");
  return existsSync(join(inRun, "checkpoint.json")) ? inRun : path;
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

async function saveResult(
  trainer: Trainer,
  { runDir, adapterFormat }: RunOptions,
): Promise<{ what: "adapter" | "model"; dir: string }> {
  if (trainer.info.method === "full") {
    const dir = join(runDir, "model");
    await trainer.saveMerged(dir);
    return { what: "model", dir };
  }
  const dir = join(runDir, "adapter");
  await trainer.saveAdapter(dir, { format: adapterFormat });
  return { what: "adapter", dir };
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
  flags: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
): number {
  const aStep = info.batch * info.accumulate;
  const steps = flags.steps ?? Math.ceil((flags.epochs ?? 1) * rowsOfEpoch(data) / aStep);
  if (steps > stepsDone) return steps;
  throw new PacacError("usage", `Cannot train ${steps} steps: the checkpoint is at ${stepsDone}`, {
    remedy: "--steps counts from the very beginning; give more of them",
  });
}

/** The command of a run, from the beginning. */
function runCommand(
  path: string,
  flags: SavingFlags & {
    readonly data: readonly string[];
    readonly map?: string | undefined;
    readonly skipBad?: number | undefined;
    readonly trainOn?: string | undefined;
    readonly packing?: string | undefined;
    readonly validation?: string | undefined;
    readonly weights?: string | undefined;
    readonly format?: string | undefined;
    readonly seed?: number | undefined;
    readonly init?: number | undefined;
    readonly target: string;
    readonly isa: string;
    readonly threads?: number | undefined;
    readonly log?: string | undefined;
    readonly samples?: number | undefined;
    readonly adapterFormat: string;
    readonly steps: number;
    readonly runDir: string;
  },
): string {
  const given: [string, string | number | undefined][] = [
    ...flags.data.map((input): [string, string] => ["--data", input]),
    ["--format", flags.format],
    ["--map", flags.map],
    ["--skip-bad", flags.skipBad],
    ["--train-on", flags.trainOn],
    ["--packing", flags.packing],
    ["--validation", flags.validation],
    ["--weights", flags.weights],
    ["--init", flags.init],
    ["--steps", flags.steps],
    ["--out", flags.runDir],
    ["--adapter-format", flags.adapterFormat === "peft" ? undefined : flags.adapterFormat],
    ["--save-every", flags.saveEvery],
    ["--save-minutes", flags.saveMinutes],
    ["--keep", flags.keep],
    ["--evaluate-every", flags.evaluateEvery],
    ["--patience", flags.patience],
    ["--on-nan", flags.onNan],
    ["--schedule", flags.schedule],
    ["--warmup", flags.warmup],
    ["--seed", flags.seed],
    ["--target", flags.target === "cpu" ? undefined : flags.target],
    ["--isa", flags.isa === "native" ? undefined : flags.isa],
    ["--threads", flags.threads],
    ["--log", flags.log],
    ["--samples", flags.samples],
  ];
  const words = given.flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, quote(`${value}`)]
  );
  return ["deno task train", quote(path), ...words].join(" ");
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

/** A word as a POSIX shell reads it. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
