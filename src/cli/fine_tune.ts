/**
 * Runs the training loop for a person: progress, logs, samples, saving on Ctrl-C.
 * @module
 */
import { join } from "node:path";
import {
  type DataIdentity,
  JsonlLogger,
  Loggers,
  type RunFile,
  type SampleEvent,
  type ScheduleSettings,
  type ScheduleSpan,
  TensorBoardLogger,
  type Trainer,
  type TrainEvent,
  type TrainingData,
  type TrainOptions,
} from "../train/mod.ts";
import { cardOf } from "./card.ts";
import { Interrupt } from "./interrupt.ts";
import { aside, duration, grouped, note, print } from "./print.ts";
import { Progress } from "./progress.ts";
import { leastStepSeconds, Reporter, type ReportSource } from "./report_run.ts";
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
  /** What the validation data is, where it comes from files of its own. */
  readonly validationIdentity?: DataIdentity | undefined;
  /** What the adapter's card says of the run; little where nothing is given. */
  readonly record?: RunFile;
  /** What the report is made of beside events; none is written where nothing is given. */
  readonly report?: Omit<ReportSource, "runDir">;
  /** Whether events are printed as lines of JSON. */
  readonly json: boolean;
  /** In which form they are kept beside lines of JSON. */
  readonly log?: "tensorboard" | undefined;
  /** Answers of the model as it was before, and once the result is saved. */
  readonly samples?: Sampling | undefined;
  /** How to go on after an interrupt. */
  readonly resumeCommand: string;
}

/** Answers to prompts of the data, by the model before its training or after it. */
export type Sampling = (
  when: "before" | "after",
  signal: AbortSignal,
) => AsyncIterable<SampleEvent>;

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
  const leastSeconds = options.report && leastStepSeconds(trainer, options.report.programDir);
  const progress = new Progress({ leastSeconds });
  using interrupt = new Interrupt("Finishing this step or batch, then saving");
  const events = trainer.train({
    data,
    steps,
    signal: interrupt.signal,
    checkpoint: join(runDir, "checkpoint"),
    ...(validation === undefined ? {} : { validation }),
    onEvaluate: (done, total) => progress.evaluating(done, total),
    ...savingOptions(options),
    ...(identity === undefined ? {} : { identity }),
    ...(validationIdentity === undefined ? {} : { validationIdentity }),
  });
  using logs = openLoggers(trainer, options);
  const reporter = options.report && new Reporter(trainer, { ...options.report, runDir });
  const tell = (event: TrainEvent) => {
    logs.log(event);
    reporter?.log(event);
    if (json) print(JSON.stringify(event));
    else show(event, progress);
  };
  const sample = async (when: "before" | "after") => {
    for await (const event of options.samples?.(when, interrupt.signal) ?? []) tell(event);
  };
  try {
    for await (const event of events) {
      tell(event);
      if (event.type === "start" && event.step === 0) await sample("before");
      if (event.type !== "step") continue;
      losses.push(event.loss);
      // An engine that computes on this thread, as the reference's, leaves signals no turn otherwise.
      await new Promise((resume) => setTimeout(resume));
    }
    progress.end();
    await saveResult(trainer, options);
    if (!interrupt.signal.aborted) await sample("after");
  } finally {
    progress.end();
    // A run that fails has a report too, of what came before.
    tellReport(reporter?.write(), json);
  }
  const unevaluated = trainer.run.unevaluated === true;
  if (!interrupt.signal.aborted || (trainer.stepsDone >= steps && !unevaluated)) return losses;
  const place = `step ${trainer.stepsDone} of ${steps}${
    unevaluated ? ", before it was validated" : ""
  }`;
  note(`stopped after ${place}; go on with\n  ${options.resumeCommand}`);
  throw new Exit(interrupt.exitCode);
}

/**
 * Says where the page is.
 * @param file Its file; nothing where there is none
 * @param json Whether events are printed as lines of JSON
 */
export function tellReport(file: string | undefined, json: boolean): void {
  if (file === undefined) return;
  if (json) print(JSON.stringify({ type: "report", file }));
  else note(`report ${file}`);
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

/** Lines of JSON always, and what was asked for beside them. */
function openLoggers({ stepsDone }: Trainer, { runDir, log }: RunOptions): Loggers {
  const lines = new JsonlLogger(join(runDir, "metrics.jsonl"), stepsDone);
  if (log === undefined) return new Loggers([lines]);
  return new Loggers([lines, new TensorBoardLogger(join(runDir, "tensorboard"), stepsDone)]);
}

/**
 * Saves what was learnt into the run's folder, and says where.
 * @param trainer The trainer
 * @param options The run's folder, the adapter's form
 * @throws {PacacError} io
 */
export async function saveResult(trainer: Trainer, options: RunOptions): Promise<void> {
  const { runDir, adapterFormat, record, json } = options;
  const what = trainer.info.method === "full" ? "model" : "adapter";
  const dir = join(runDir, what);
  if (what === "model") await trainer.saveMerged(dir);
  else {
    const card = record === undefined ? {} : { card: cardOf(trainer, { runDir, run: record }) };
    await trainer.saveAdapter(dir, { format: adapterFormat, ...card });
  }
  if (json) print(JSON.stringify({ type: "adapter", what, dir }));
  else note(`${what} ${dir}`);
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
      progress.end();
      note(aside(`sample ${event.sample + 1} after step ${event.step}: ${event.prompt}`));
      return note(event.text);
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
