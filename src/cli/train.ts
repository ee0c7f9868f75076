/**
 * `train`: fine-tunes a model on a data file and saves the adapter.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { loadData, type LoadedData, loadTokenizer, type Trainer } from "../train/mod.ts";
import type { TrainEvent } from "../train/mod.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { duration, grouped, note, percent, print } from "./print.ts";
import { loadOptions, openProgram, runFolder, tokenizerFolder } from "./program.ts";
import { Progress } from "./progress.ts";
import { Exit } from "./run.ts";

/** What {@linkcode fineTuneOn} takes beside the trainer. */
export interface RunOptions {
  readonly data: LoadedData;
  readonly steps: number;
  /** Folder for the adapter and the checkpoint. */
  readonly runDir: string;
  readonly adapterFormat: "peft" | "paca" | "lora";
  readonly saveEvery?: number | undefined;
  /** Whether events are printed as lines of JSON. */
  readonly json: boolean;
  /** How to go on after an interrupt. */
  readonly resumeCommand: string;
}

/** The command. */
export function trainCommand(): PlainCommand {
  return new Command()
    .argument("<program>", "Model description (a .ts file), or a folder that compile wrote")
    .addOption(option.data())
    .addOption(option.format())
    .addOption(option.weights())
    .addOption(option.adapter())
    .addOption(option.init())
    .addOption(option.steps())
    .addOption(option.epochs())
    .addOption(option.runDir())
    .addOption(option.adapterFormat())
    .addOption(option.saveEvery())
    .addOption(option.resume())
    .addOption(option.seed())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.events())
    .action(async (path, flags) => {
      const { target, isa, threads, weights } = flags;
      const program = await openProgram(path, { target, isa, threads, weights });
      const runDir = flags.out === undefined ? runFolder(program.dir) : userPath(flags.out);
      await makeFolder(runDir);
      await using trainer = await program.module.load(loadOptions(flags));
      const { seqLen } = trainer.info;
      const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
      const data = await loadData(userPath(flags.data), {
        tokenizer,
        seqLen,
        ...(flags.format === undefined ? {} : { format: flags.format }),
      });
      if (flags.resume !== undefined) await trainer.loadCheckpoint(userPath(flags.resume));
      note(describeData(data));
      const steps = stepsOf(trainer, data, flags);
      await fineTuneOn(trainer, {
        data,
        steps,
        runDir,
        adapterFormat: flags.adapterFormat,
        saveEvery: flags.saveEvery,
        json: flags.json === true,
        resumeCommand: resumeCommand(path, { ...flags, steps, runDir }),
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
  const { data, steps, runDir, saveEvery, json } = options;
  const losses: number[] = [];
  const progress = new Progress();
  using interrupt = new Interrupt("Finishing this step, then saving");
  const events = trainer.train({
    data,
    steps,
    signal: interrupt.signal,
    checkpoint: join(runDir, "checkpoint"),
    ...(saveEvery === undefined ? {} : { saveEvery }),
  });
  for await (const event of events) {
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
  if (!interrupt.signal.aborted || trainer.stepsDone >= steps) return losses;
  note(
    `stopped after step ${trainer.stepsDone} of ${steps}; go on with\n  ${options.resumeCommand}`,
  );
  throw new Exit(interrupt.exitCode);
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

/** How much of the data is trained on, and what was left out. */
function describeData({ format, stats, seqLen }: LoadedData): string {
  const { documents, rows, tokens, supervised, supervisedShare, efficiency } = stats;
  const lines = [
    `${grouped(documents)} documents (${format}) in ${grouped(rows)} rows of ${seqLen}, ` +
    `${percent(efficiency)} full`,
    `${grouped(supervised)} of ${grouped(tokens)} tokens are trained on (${
      percent(supervisedShare)
    })`,
  ];
  if (stats.truncated > 0) lines.push(`${stats.truncated} documents are cut to ${seqLen} tokens`);
  if (stats.dropped > 0) lines.push(`${stats.dropped} documents have nothing to train on`);
  return lines.join("\n");
}

function stepsOf(
  { info, stepsDone }: Trainer,
  data: LoadedData,
  flags: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
): number {
  const aStep = info.batch * info.accumulate;
  const steps = flags.steps ?? Math.ceil((flags.epochs ?? 1) * data.rows / aStep);
  if (steps > stepsDone) return steps;
  throw new PacacError("usage", `Cannot train ${steps} steps: the checkpoint is at ${stepsDone}`, {
    remedy: "--steps counts from the very beginning; give more of them",
  });
}

function resumeCommand(
  path: string,
  flags: {
    readonly data: string;
    readonly weights?: string | undefined;
    readonly format?: string | undefined;
    readonly seed?: number | undefined;
    readonly init?: number | undefined;
    readonly target: string;
    readonly isa: string;
    readonly threads?: number | undefined;
    readonly adapterFormat: string;
    readonly saveEvery?: number | undefined;
    readonly steps: number;
    readonly runDir: string;
  },
): string {
  const given: [string, string | number | undefined][] = [
    ["--data", flags.data],
    ["--format", flags.format],
    ["--weights", flags.weights],
    ["--init", flags.init],
    ["--steps", flags.steps],
    ["--out", flags.runDir],
    ["--adapter-format", flags.adapterFormat === "peft" ? undefined : flags.adapterFormat],
    ["--save-every", flags.saveEvery],
    ["--seed", flags.seed],
    ["--target", flags.target === "cpu" ? undefined : flags.target],
    ["--isa", flags.isa === "native" ? undefined : flags.isa],
    ["--threads", flags.threads],
    ["--resume", join(flags.runDir, "checkpoint")],
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
