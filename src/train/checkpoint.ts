/**
 * Checkpoints: parameters, columns, the optimiser's moments, and where the run stands, so that a resumed run computes the same
 * bits as one that was never stopped.
 *
 * A folder holds checkpoint.json and state-HASH.safetensors, named by its content. The state is published first, then
 * checkpoint.json, which names it; only then are older states removed. Killed at any point, the folder holds the old
 * checkpoint or the new one, whole.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { makeFolder, publishText, removeIfThere } from "../formats/atomic.ts";
import { fileSize, readJson } from "../formats/files.ts";
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
import type { Trainer } from "./trainer.ts";

const FILE = "checkpoint.json";
const STATE = /^state-[0-9a-f]{16}\.safetensors$/;

const count = z.int().nonnegative();
const schema = z.strictObject({
  version: z.literal(1),
  program: z.string(),
  hash: z.string(),
  step: count,
  position: count,
  seed: count,
  state: z.string().regex(STATE),
});

type Description = z.infer<typeof schema>;

/**
 * Writes a checkpoint; one that was in the folder before is replaced.
 * @param trainer The trainer
 * @param dir The folder
 * @throws {PacacError} io
 */
export function saveCheckpoint(trainer: Trainer, dir: string): Promise<void> {
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
  };
  publishText(join(dir, FILE), JSON.stringify(description, null, 2) + "\n");
  for (const { name } of Deno.readDirSync(dir)) {
    if (STATE.test(name) && name !== state) removeIfThere(join(dir, name));
  }
  return Promise.resolve();
}

/**
 * Fills a trainer from a checkpoint. Everything is checked before anything is changed.
 * @param trainer The trainer
 * @param dir The folder
 * @throws {PacacError} checkpoint-invalid, safetensors-invalid, io
 */
export function loadCheckpoint(trainer: Trainer, dir: string): Promise<void> {
  const { engine, info } = trainer;
  const description = readDescription(dir, info);
  const file = openState(join(dir, description.state), info);
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
  return Promise.resolve();
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

function readDescription(dir: string, info: ProgramInfo): Description {
  const path = join(dir, FILE);
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
