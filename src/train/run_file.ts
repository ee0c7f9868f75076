/**
 * run.json: what a run was begun with, in its folder, so that it goes on, is reported and is repeated from the folder alone.
 *
 * It is published before the first step. Checkpoints hold where the run stands; this file holds what does not change.
 * @module
 */
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { publishText } from "../formats/atomic.ts";
import { fileSize, readJson } from "../formats/files.ts";
import type { DataIdentity } from "./data/identity.ts";
import type { FileSample } from "./file_sample.ts";
import type { JsonObject } from "./json.ts";

const FILE = "run.json";

/** What a run was begun with. Plain data. */
export interface RunFile {
  /** Of this form. */
  readonly version: 1;
  /** What is trained. */
  readonly program: RunProgram;
  /** By name, as `--seed`: all that was asked for, and what was chosen where nothing was. Paths are absolute. */
  readonly flags: Readonly<Record<string, FlagValue>>;
  /** Files of the model, and of the adapter that the run began from. */
  readonly weights: readonly FileSample[];
  /** What is trained on. */
  readonly data: DataIdentity;
  /** What validates, where that comes from files of its own. */
  readonly validation?: DataIdentity;
  /** What computes; `build` names the compiled program. */
  readonly machine: { readonly isa: string; readonly threads: number; readonly build: string };
  /** By name. */
  readonly versions: Readonly<Record<string, string>>;
  /** When it began, ISO 8601. */
  readonly began: string;
}

/** The program of a run. */
export interface RunProgram {
  /** A model description, or a folder that was compiled before. */
  readonly kind: "description" | "folder";
  /** Absolute. */
  readonly path: string;
  /** SHA-256 of the description's value as JSON; for a folder, the program's own hash. Hexadecimal. */
  readonly hash: string;
  /** The description's value, to say which of its fields has changed. */
  readonly description?: JsonObject;
}

/** A flag's value as text, or one for each time that it was given; true where it takes none. */
export type FlagValue = string | readonly string[] | true;

const hash = z.string().regex(/^[0-9a-f]{16,64}$/);
const identity = z.strictObject({
  fingerprint: z.string(),
  files: z.array(z.strictObject({ file: z.string(), sha256: hash })),
  tokenizer: z.string(),
  options: z.string(),
});

const schema: z.ZodType<RunFile> = z.strictObject({
  version: z.literal(1),
  program: z.strictObject({
    kind: z.enum(["description", "folder"]),
    path: z.string(),
    hash,
    description: z.record(z.string(), z.unknown()).exactOptional(),
  }),
  flags: z.record(
    z.string().regex(/^--[a-z][a-z0-9-]*$/),
    z.union([z.string(), z.array(z.string()), z.literal(true)]),
  ),
  weights: z.array(
    z.strictObject({ file: z.string(), bytes: z.int().nonnegative(), sample: hash }),
  ),
  data: identity,
  validation: identity.exactOptional(),
  machine: z.strictObject({
    isa: z.string(),
    threads: z.int().nonnegative(),
    build: z.string(),
  }),
  versions: z.record(z.string(), z.string()),
  began: z.string(),
});

/** Where a run's parts are. */
export interface RunPlace {
  /** The run's folder; nothing where a checkpoint lies by itself. */
  readonly runDir?: string;
  /** What a trainer's loadCheckpoint() takes; nothing where the run has none yet. */
  readonly checkpoint?: string;
}

/**
 * Writes a run's file.
 * @param runDir The run's folder
 * @param run What it was begun with
 * @throws {PacacError} io
 */
export function writeRunFile(runDir: string, run: RunFile): void {
  publishText(join(runDir, FILE), `${JSON.stringify(run, null, 2)}\n`);
}

/**
 * Reads a run's file; nothing where there is none.
 * @param runDir The run's folder
 * @throws {PacacError} checkpoint-invalid, where it is damaged; io
 */
export function readRunFile(runDir: string): RunFile | undefined {
  const path = join(runDir, FILE);
  if (fileSize(path) === undefined) return undefined;
  const parsed = schema.safeParse(readJson(path, { code: "checkpoint-invalid" }));
  if (parsed.success) return parsed.data;
  throw new PacacError("checkpoint-invalid", `Cannot go on: ${z.prettifyError(parsed.error)}`, {
    place: { file: path },
    remedy: "resume from the checkpoint in this folder, naming program and data again",
  });
}

/**
 * Finds a run by what a person names: its folder, a checkpoint's folder in it, or an older checkpoint's file there.
 * @param path As named, absolute
 * @throws {PacacError} checkpoint-invalid, where nothing of a run is there
 */
export function locateRun(path: string): RunPlace {
  const within = join(path, "checkpoint");
  if (isCheckpoint(within)) return { runDir: path, checkpoint: within };
  if (fileSize(join(path, FILE)) !== undefined) return { runDir: path };
  if (isCheckpoint(path)) return { ...parentRun(path), checkpoint: path };
  const folder = dirname(path);
  if (/^checkpoint(?:-\d+)?\.json$/.test(basename(path)) && fileSize(path) !== undefined) {
    const checkpoint = basename(path) === "checkpoint.json" ? folder : path;
    return { ...parentRun(folder), checkpoint };
  }
  throw new PacacError("checkpoint-invalid", "Cannot resume: there is no run and no checkpoint", {
    place: { file: path },
    remedy: "give the folder that a run saved into",
  });
}

function isCheckpoint(folder: string): boolean {
  return fileSize(join(folder, "checkpoint.json")) !== undefined;
}

/** RUN/checkpoint and RUN/best belong to RUN; a checkpoint elsewhere is by itself. */
function parentRun(checkpoint: string): Pick<RunPlace, "runDir"> {
  const runDir = dirname(checkpoint);
  const belongs = basename(checkpoint) === "checkpoint" ||
    fileSize(join(runDir, FILE)) !== undefined;
  return belongs ? { runDir } : {};
}
