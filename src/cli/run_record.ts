/**
 * What a run leaves in its folder beside its checkpoints: what it was begun with. A run that goes on is held to it.
 * @module
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import {
  checkpointProgress,
  type FlagValue,
  type JsonObject,
  NativeEngine,
  readRunFile,
  removeCheckpoints,
  requireSameData,
  type RunFile,
  type RunProgram,
  samplesOf,
  type Trainer,
  writeRunFile,
} from "../train/mod.ts";
import type { ReadData } from "./data_input.ts";
import { threadCount } from "./flags.ts";
import { note, quote } from "./print.ts";
import type { Program } from "./program.ts";
import { requireSameDescription, type TrainFlags } from "./run_settings.ts";

/** What is recorded of a run before its data and weights are read. */
export interface RunToRecord {
  /** Model description or program folder, absolute. */
  readonly path: string;
  readonly runDir: string;
  readonly program: Program;
  readonly flags: TrainFlags;
  /** The flags as run.json keeps them. */
  readonly kept: Readonly<Record<string, FlagValue>>;
  /** What it was begun with, where it goes on. */
  readonly before?: RunFile;
  /** Where it goes on from, where it does. */
  readonly checkpoint?: string;
}

/**
 * Writes a run's run.json; a run that goes on is held to the one that is there.
 * @param run What was asked for
 * @param read Trainer and data, read, and the number of steps
 * @returns What was written
 * @throws {PacacError} checkpoint-invalid, where description, weights or data have changed; io
 */
export async function recordRun(
  run: RunToRecord,
  read: { readonly trainer: Trainer; readonly data: ReadData; readonly steps: number },
): Promise<RunFile> {
  const { before, runDir, kept, program, flags } = run;
  const { trainer, data: { identity, validationIdentity }, steps } = read;
  const { "--epochs": _, ...rest } = kept;
  const now: RunFile = {
    version: 1,
    program: programOf(run, trainer),
    flags: {
      ...rest,
      "--steps": `${steps}`,
      // The same bits need the same threads, whatever the environment says when the run goes on.
      ...(program.loaded === undefined ? {} : { "--threads": `${threadCount(flags.threads)}` }),
    },
    weights: weightsOf(run, trainer),
    data: identity,
    ...(validationIdentity === undefined ? {} : { validation: validationIdentity }),
    machine: await machineOf(trainer, program.dir),
    versions: await versions(),
    began: before?.began ?? new Date().toISOString(),
  };
  if (before !== undefined) requireSameRun(before, now);
  const file = before === undefined ? now : { ...now, weights: before.weights };
  writeRunFile(runDir, file);
  return file;
}

function programOf({ path, program }: RunToRecord, { info }: Trainer): RunProgram {
  const { loaded } = program;
  if (loaded === undefined) return { kind: "folder", path, hash: info.hash };
  const text = JSON.stringify(loaded.spec);
  return {
    kind: "description",
    path,
    hash: createHash("sha256").update(text).digest("hex"),
    description: JSON.parse(text) as JsonObject,
  };
}

/** A checkpoint holds all of an adapter: one that a run began from may be gone when it goes on. */
function weightsOf({ flags, checkpoint }: RunToRecord, { weights }: Trainer): RunFile["weights"] {
  const paths = [weights, checkpoint === undefined ? flags.adapter : undefined];
  return paths.flatMap((path) => path === undefined ? [] : samplesOf(userPath(path)));
}

async function machineOf(
  { engine, info }: Trainer,
  programDir: string,
): Promise<RunFile["machine"]> {
  if (!(engine instanceof NativeEngine)) {
    return { isa: info.target, threads: 1, build: info.hash };
  }
  const { isa, threads } = engine.memory();
  // A program for several instruction sets has a folder for each.
  const read = (folder: string) => readFile(join(folder, "bindings.ts"), "utf8");
  const bindings = await read(programDir).catch(() => read(join(programDir, isa))).catch(() => "");
  return { isa, threads, build: /addon-([0-9a-f]{16})/.exec(bindings)?.[1] ?? info.hash };
}

/** Versions of what a run's numbers depend on. */
export async function versions(): Promise<Record<string, string>> {
  const config: unknown = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
  const isNamed = typeof config === "object" && config !== null && "version" in config;
  return { pacac: isNamed ? `${config.version}` : "unknown", deno: Deno.version.deno };
}

function requireSameRun(before: RunFile, now: RunFile): void {
  if (before.program.hash !== now.program.hash) requireSameProgram(before.program, now.program);
  now.weights.forEach(({ file, sample }, i) => {
    const old = before.weights.at(i);
    if (old === undefined || old.sample === sample) return;
    throw new PacacError("checkpoint-invalid", "Cannot resume: the weights have changed since", {
      place: { file },
      remedy: "restore the weights that the run began with, or begin a new run with --out",
    });
  });
  requireSameData(before.data, now.data);
  if (before.validation !== undefined && now.validation !== undefined) {
    requireSameData(before.validation, now.validation);
  }
  if (before.machine.build === now.machine.build) return;
  note(
    "warning: the program was built anew since the run began (another compiler, processor, version or tuned values): " +
      "its numbers may differ in the last bits from those of a run that was never stopped",
  );
}

function requireSameProgram(before: RunProgram, now: RunProgram): void {
  requireSameDescription(before, now.description);
  throw new PacacError("checkpoint-invalid", "Cannot resume: the program is another now", {
    place: { file: before.path, field: "hash" },
    remedy: "compile the description that the run began with, or begin a new run with --out",
  });
}

/**
 * Refuses to begin a run over one that is not finished: people lose runs so.
 * @param runDir The run's folder
 * @throws {PacacError} usage
 */
export function requireFinished(runDir: string): void {
  const progress = checkpointProgress(join(runDir, "checkpoint"));
  if (progress?.steps === undefined) return;
  if (progress.step >= progress.steps && !progress.unevaluated) return;
  const patience = Number(readRunFile(runDir)?.flags["--patience"] ?? Infinity);
  if ((progress.since ?? 0) >= patience) return;
  const state =
    `the folder holds one that stopped after step ${progress.step} of ${progress.steps}`;
  throw new PacacError("usage", `Cannot begin a run: ${state}`, {
    place: { file: runDir },
    remedy: `go on with it: deno task train --resume ${quote(runDir)}; ` +
      "or begin anew with --restart, or in another folder with --out",
  });
}

/**
 * Removes the checkpoints of the run before, so that a new one never goes on from them.
 * @param runDir The run's folder
 * @throws {PacacError} io
 */
export function clearRun(runDir: string): void {
  for (const name of ["checkpoint", "best"]) removeCheckpoints(join(runDir, name));
}
