/**
 * Checkpoints: parameters, columns, the optimiser's moments, and where the run stands, so that a resumed run computes the same
 * bits as one that was never stopped.
 *
 * A folder holds checkpoint.json and state-HASH.safetensors, named by its content. The state is published first, then
 * checkpoint.json, which names it; only then are older states removed. Killed at any point, the folder holds the old
 * checkpoint or the new one, whole. Where more than the newest is kept, checkpoint-STEP.json describes each in the same way.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { makeFolder, publishText, removeIfThere } from "../formats/atomic.ts";
import { fileSize, isFolder, readJson } from "../formats/files.ts";
import {
  openSafetensors,
  readFloat32,
  readInt32,
  type SafetensorsFile,
} from "../formats/safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensors_writer.ts";
import { refreshAnchors } from "./anchors.ts";
import type { ProgramInfo, TensorInfo } from "./engine.ts";
import { checkColumns } from "./program.ts";
import { SCHEDULES } from "./schedule.ts";
import type { RunState, Trainer } from "./trainer.ts";

const FILE = "checkpoint.json";
const KEPT = /^checkpoint-(\d+)\.json$/;
const TEMPORARY = /^(?:checkpoint|state)[\w.-]*\.tmp$/;
const STATE = /^state-[0-9a-f]{16}\.safetensors$/;

const count = z.int().nonnegative();
const dataIdentity = z.strictObject({
  fingerprint: z.string(),
  files: z.array(z.strictObject({ file: z.string(), sha256: z.string() })).readonly(),
  tokenizer: z.string(),
  options: z.string(),
});
const schema = z.strictObject({
  version: z.literal(1),
  program: z.string(),
  hash: z.string(),
  step: count,
  position: count,
  seed: count,
  state: z.string().regex(STATE),
  data: dataIdentity.exactOptional(),
  validation: dataIdentity.exactOptional(),
  plan: z.strictObject({
    weightDecay: z.number(),
    maxGradNorm: z.number(),
    accumulate: count,
    schedule: z.strictObject({
      kind: z.enum(SCHEDULES),
      learningRate: z.number(),
      steps: count,
      warmupSteps: count,
      decaySteps: count,
      floor: z.number(),
    }),
  }).exactOptional(),
  best: z.strictObject({ loss: z.number(), step: count, since: count }).exactOptional(),
  unevaluated: z.literal(true).exactOptional(),
});

type Description = z.infer<typeof schema>;

/** What {@linkcode saveCheckpoint} takes beside trainer and folder. */
export interface SaveOptions {
  /** Checkpoints that stay in the folder, the newest counted; 1 where it is not said. */
  readonly keep?: number;
}

/**
 * Writes a checkpoint; those that were in the folder before are replaced but for as many as are kept.
 * @param trainer The trainer
 * @param dir The folder
 * @param options How many stay
 * @throws {PacacError} io
 */
export function saveCheckpoint(
  trainer: Trainer,
  dir: string,
  { keep = 1 }: SaveOptions = {},
): Promise<void> {
  const { info } = trainer;
  makeFolder(dir);
  const tensors = stateTensors(info).map(({ name, shape, dtype }): TensorToWrite => {
    const bytes = bytesOf(trainer.engine.read(name));
    return { name, dtype: dtype === "i32" ? "I32" : "F32", shape, bytes };
  });
  const state = `state-${digest(tensors)}.safetensors`;
  writeSafetensors(join(dir, state), tensors);
  const description: Description = {
    version: 1,
    program: info.name,
    hash: info.hash,
    step: trainer.stepsDone,
    position: trainer.position,
    seed: trainer.seed,
    state,
    ...runOf(trainer.run),
  };
  const text = JSON.stringify(description, null, 2) + "\n";
  if (keep > 1) publishText(join(dir, `checkpoint-${trainer.stepsDone}.json`), text);
  publishText(join(dir, FILE), text);
  removeOld(dir, { keep, state });
  return Promise.resolve();
}

/** How far the run of a checkpoint has come. */
export interface CheckpointProgress {
  /** Steps done. */
  readonly step: number;
  /** Steps of the whole run, where the checkpoint says it. */
  readonly steps?: number;
  /** Evaluations since the best one, where there were any. */
  readonly since?: number;
  /** Whether the evaluation after the last step is still to come. */
  readonly unevaluated: boolean;
}

/**
 * How far the run of a checkpoint has come; nothing where there is no checkpoint that can be read.
 * @param dir The folder
 * @throws {PacacError} io
 */
export function checkpointProgress(dir: string): CheckpointProgress | undefined {
  const path = join(dir, FILE);
  if (fileSize(path) === undefined) return undefined;
  const parsed = schema.safeParse(readJson(path, { code: "checkpoint-invalid" }));
  if (!parsed.success) return undefined;
  const { step, plan, best, unevaluated = false } = parsed.data;
  return {
    ...{ step, unevaluated },
    ...(plan === undefined ? {} : { steps: plan.schedule.steps }),
    ...(best === undefined ? {} : { since: best.since }),
  };
}

/**
 * Removes all checkpoints of a folder, and nothing else: a new run takes their place.
 * @param dir The folder, which need not be there
 * @throws {PacacError} io
 */
export function removeCheckpoints(dir: string): void {
  if (!isFolder(dir)) return;
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
  const descriptions = names.filter((name) => name === FILE || KEPT.test(name));
  const rest = names.filter((name) => STATE.test(name) || TEMPORARY.test(name));
  for (const name of [...descriptions, ...rest]) removeIfThere(join(dir, name));
}

/** Descriptions go before the states they name, so that none ever names a state that is gone. */
function removeOld(dir: string, { keep, state }: { keep: number; state: string }): void {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
  const kept = names.flatMap((name) => {
    const step = name.match(KEPT)?.[1];
    return step === undefined ? [] : [{ name, step: Number(step) }];
  }).sort((a, b) => b.step - a.step);
  const stay = kept.slice(0, keep > 1 ? keep : 0);
  kept.slice(stay.length).forEach(({ name }) => removeIfThere(join(dir, name)));
  const used = new Set([state]);
  for (const { name } of stay) {
    const parsed = schema.safeParse(readJson(join(dir, name), { code: "checkpoint-invalid" }));
    if (parsed.success) used.add(parsed.data.state);
  }
  for (const name of names) {
    // Temporary files are what a killed process left.
    if ((STATE.test(name) && !used.has(name)) || TEMPORARY.test(name)) {
      removeIfThere(join(dir, name));
    }
  }
}

/**
 * Fills a trainer from a checkpoint. Everything is checked before anything is changed.
 * @param trainer The trainer
 * @param dir The folder, for its newest; or an older one's description in it
 * @throws {PacacError} checkpoint-invalid, safetensors-invalid, io
 */
export function loadCheckpoint(trainer: Trainer, dir: string): Promise<void> {
  const { engine, info } = trainer;
  const path = KEPT.test(basename(dir)) ? dir : join(dir, FILE);
  const description = readDescription(path, info);
  const file = openState(join(dirname(path), description.state), info);
  const values = new Map(
    stateTensors(info).map((tensor) => [tensor.name, readState(file, tensor)]),
  );
  for (const linear of info.adapted) {
    const columns = values.get(linear.indices);
    if (columns !== undefined) checkColumns(columns, linear);
  }
  values.forEach((array, name) => engine.write(name, array));
  refreshAnchors(engine);
  trainer.stepsDone = description.step;
  trainer.position = description.position;
  trainer.seed = description.seed;
  trainer.run = runOf(description);
  return Promise.resolve();
}

/** Its fields in one order, whatever a run has been through: equal runs have equal files. */
function runOf({ data, validation, plan, best, unevaluated }: RunState): RunState {
  return {
    ...(data === undefined ? {} : { data }),
    ...(validation === undefined ? {} : { validation }),
    ...(plan === undefined ? {} : { plan }),
    ...(best === undefined ? {} : { best }),
    ...(unevaluated === undefined ? {} : { unevaluated }),
  };
}

/** What changes in a run, or is drawn at its beginning. */
function stateTensors(info: ProgramInfo): TensorInfo[] {
  const flat = ["parameters", "moment1", "moment2"];
  return info.tensors.filter(({ name, role }) => role === "index" || flat.includes(name));
}

function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function digest(tensors: readonly TensorToWrite[]): string {
  const hash = createHash("sha256");
  for (const { name, bytes } of tensors) {
    hash.update(`${name}\0`);
    if (bytes instanceof Uint8Array) hash.update(bytes);
  }
  return hash.digest("hex").slice(0, 16);
}

function readDescription(path: string, info: ProgramInfo): Description {
  if (fileSize(path) === undefined) {
    throw new PacacError("checkpoint-invalid", "Cannot resume: there is no checkpoint", {
      place: { file: path },
      remedy: "give the folder that a run saved into",
    });
  }
  const parsed = schema.safeParse(readJson(path, { code: "checkpoint-invalid" }));
  if (!parsed.success) {
    throw new PacacError("checkpoint-invalid", `Cannot resume: ${z.prettifyError(parsed.error)}`, {
      place: { file: path },
      remedy: "use an older checkpoint",
    });
  }
  if (parsed.data.hash !== info.hash) {
    throw new PacacError(
      "checkpoint-invalid",
      `Cannot resume: the checkpoint belongs to another build (${parsed.data.program} ` +
        `${parsed.data.hash}; this is ${info.name} ${info.hash})`,
      {
        place: { file: path, field: "hash" },
        remedy: "compile the description that the run began with, or start anew from its adapter",
      },
    );
  }
  return parsed.data;
}

function openState(path: string, info: ProgramInfo): SafetensorsFile {
  const file = openSafetensors(path);
  for (const { name, shape, dtype } of stateTensors(info)) {
    const stored = file.tensors.get(name);
    const wanted = dtype === "i32" ? "I32" : "F32";
    if (stored?.dtype === wanted && `${stored.shape}` === `${shape}`) continue;
    const found = stored === undefined ? "missing" : `${stored.dtype} [${stored.shape}]`;
    throw new PacacError(
      "checkpoint-invalid",
      `Cannot resume: ${name} is ${found}, not ${wanted} [${shape}]`,
      { place: { file: path, field: name }, remedy: "use an older checkpoint" },
    );
  }
  return file;
}

function readState(file: SafetensorsFile, { name, dtype }: TensorInfo): Float32Array | Int32Array {
  const stored = file.tensors.get(name);
  if (stored === undefined) throw new PacacError("checkpoint-invalid", `Cannot resume: no ${name}`);
  return dtype === "i32" ? readInt32(stored) : readFloat32(stored);
}
