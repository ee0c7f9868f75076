/**
 * A run's flags as its folder keeps them: written from what was typed, read back by the same parser, and held against what is
 * typed when the run goes on.
 * @module
 */
import { Command, CommanderError } from "@commander-js/extra-typings";
import type { Command as PlainCommand, Option } from "commander";
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import {
  type FlagValue,
  pinnedInput,
  readRunFile,
  type RunFile,
  type ScheduleSpan,
} from "../train/mod.ts";
import { option, spanText } from "./flags.ts";
import { shareOf } from "./data_input.ts";

/** A run's flags by name, as run.json keeps them. */
type Flags = Record<string, FlagValue>;

/** Flags of one call, which a run's folder does not keep: where the run is, and what is shown. */
const OF_THE_CALL: readonly string[] = ["--resume", "--out", "--restart", "--json"];

/** Flags that change nothing of what is computed: a run may go on with others. */
const FREE: readonly string[] = [
  "--save-every",
  "--save-minutes",
  "--keep",
  "--adapter-format",
  "--log",
  "--samples",
];

/** The checkpoint knows whether the steps that are done allow another length. */
const LENGTH: readonly string[] = ["--steps", "--epochs"];

/** Flags whose value is a path. */
const PATHS: readonly string[] = ["--weights", "--adapter"];

/** The flags of `train`. */
export function trainOptions() {
  return new Command()
    .argument(
      "[program]",
      "Model description (a .ts file), or a folder that compile wrote; a resumed run knows its own",
    )
    .addOption(option.trainData())
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
    .addOption(option.decay())
    .addOption(option.floor())
    .addOption(option.learningRate())
    .addOption(option.resume())
    .addOption(option.restart())
    .addOption(option.seed())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.log())
    .addOption(option.samples())
    .addOption(option.events());
}

/** The flags of `train`, read. */
export type TrainFlags = ReturnType<ReturnType<typeof trainOptions>["opts"]>;

/**
 * The flags that a command was given, defaults among them, as a run's folder keeps them.
 * @param command The parsed command
 * @param typedOnly Whether defaults are left out
 */
export function flagsOf(command: PlainCommand, { typedOnly = false } = {}): Flags {
  const flags: Flags = {};
  for (const one of command.options) {
    const name = one.attributeName();
    if (typedOnly && command.getOptionValueSource(name) !== "cli") continue;
    const value = textOf(one, command.getOptionValue(name));
    if (value !== undefined && one.long !== undefined && one.long !== null) {
      flags[one.long] = value;
    }
  }
  OF_THE_CALL.forEach((name) => delete flags[name]);
  return flags;
}

function textOf({ long, negate }: Option, value: unknown): FlagValue | undefined {
  if (negate) return value === false ? true : undefined;
  if (value === undefined || value === false) return undefined;
  if (value === true) return true;
  if (Array.isArray(value)) {
    return value.map((one) => long === "--data" ? dataPath(`${one}`) : `${one}`);
  }
  const text = isSpan(value) ? spanText(value) : `${value}`;
  if (long === "--validation") return shareOf(text) === undefined ? dataPath(text) : text;
  return PATHS.includes(long ?? "") ? userPath(text) : text;
}

/** The only flags that come to an object. */
function isSpan(value: unknown): value is ScheduleSpan {
  return typeof value === "object" && value !== null && ("steps" in value || "epochs" in value);
}

/** A data set of the hub has a name, which may stand for another commit by the time that the run goes on. */
function dataPath(text: string): string {
  return text.startsWith("hf:") ? pinnedInput(text) : userPath(text);
}

/** What a run goes on with. */
export interface Resumed {
  /** Model description, or program folder. */
  readonly path: string;
  /** The run's flags, and those of this call that may differ. */
  readonly flags: TrainFlags;
  /** The same as they are kept. */
  readonly kept: Readonly<Record<string, FlagValue>>;
  /** What the run began with. */
  readonly before: RunFile;
}

/**
 * Takes a run's flags from its folder; nothing where the folder has none.
 * @param runDir The run's folder
 * @param command The command that is to go on with it, parsed
 * @throws {PacacError} usage, where a flag contradicts; checkpoint-invalid, where the folder's file is damaged
 */
export function resumedFlags(runDir: string, command: PlainCommand): Resumed | undefined {
  const before = readRunFile(runDir);
  if (before === undefined) return undefined;
  const file = join(runDir, "run.json");
  const typed = flagsOf(command, { typedOnly: true });
  const { out } = command.opts<TrainFlags>();
  if (out !== undefined && userPath(out) !== runDir) {
    throw contradiction(file, "--out", { before: `${runDir}`, now: userPath(out) });
  }
  const path = command.args.at(0);
  if (path !== undefined && userPath(path) !== before.program.path) {
    throw contradiction(file, "program", { before: before.program.path, now: userPath(path) });
  }
  for (const [flag, value] of Object.entries(typed)) {
    if (FREE.includes(flag) || LENGTH.includes(flag)) continue;
    const old = before.flags[flag];
    if (`${old}` !== `${value}`) throw contradiction(file, flag, { before: old, now: value });
  }
  const kept: Flags = { ...before.flags, ...typed };
  // Epochs are counted out in steps once more.
  if (typed["--epochs"] !== undefined) delete kept["--steps"];
  const flags = parse(before.program.path, kept, file);
  const { resume, json } = command.opts<TrainFlags>();
  return {
    path: before.program.path,
    flags: {
      ...flags,
      ...(resume === undefined ? {} : { resume }),
      ...(json === undefined ? {} : { json }),
    },
    kept,
    before,
  };
}

function contradiction(
  file: string,
  field: string,
  values: { readonly before: FlagValue | undefined; readonly now: FlagValue },
): PacacError {
  const { before, now } = values;
  const began = before === undefined
    ? "without it"
    : before === true
    ? "with it"
    : `with ${before}`;
  const given = now === true ? field : `${field} ${now}`;
  return new PacacError("usage", `Cannot resume with ${given}: the run began ${began}`, {
    place: { file, field },
    remedy: `leave ${field} out, or begin a new run with --out`,
  });
}

function parse(path: string, kept: Flags, file: string): TrainFlags {
  const words = Object.entries(kept).flatMap(([flag, value]) =>
    value === true ? [flag] : [value].flat().map((one) => `${flag}=${one}`)
  );
  const command = trainOptions().exitOverride().configureOutput({ outputError() {} });
  try {
    return command.parse([...words, "--", path], { from: "user" }).opts();
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    throw new PacacError("checkpoint-invalid", `Cannot resume: ${cause.message}`, {
      place: { file, field: "flags" },
      remedy: "mend the flag in this file, or resume from the checkpoint with all flags given",
      cause,
    });
  }
}

/**
 * Refuses to go on with a description that is not the one that the run began with.
 * @param before The run's
 * @param now The description's value now
 * @throws {PacacError} checkpoint-invalid, naming the field
 */
export function requireSameDescription(before: RunFile["program"], now: unknown): void {
  const field = firstDifference(before.description, now, "");
  if (field === undefined) return;
  const [old, given] = [before.description, now].map((value) => JSON.stringify(at(value, field)));
  throw new PacacError(
    "checkpoint-invalid",
    `Cannot resume: ${field} was ${shortened(old)} when the run began, and is ${shortened(given)}`,
    {
      place: { file: before.path, field },
      remedy: "restore the description that the run began with, or begin a new run with --out",
    },
  );
}

function shortened(text: string | undefined): string {
  if (text === undefined) return "not there";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Path of the first field that differs, as `train.optimizer.learningRate`. */
function firstDifference(before: unknown, now: unknown, path: string): string | undefined {
  if (typeof before !== "object" || typeof now !== "object" || before === null || now === null) {
    return Object.is(before, now) ? undefined : path;
  }
  const [a, b] = [new Map(Object.entries(before)), new Map(Object.entries(now))];
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const found = firstDifference(a.get(name), b.get(name), path === "" ? name : `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function at(value: unknown, path: string): unknown {
  let inner = value;
  for (const name of path.split(".")) {
    if (typeof inner !== "object" || inner === null) return undefined;
    inner = new Map(Object.entries(inner)).get(name);
  }
  return inner;
}
