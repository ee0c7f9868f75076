/**
 * Merged models: the base with the training in it, in a folder that transformers loads.
 * @module
 */
import { join } from "node:path";
import { addColumns } from "../formats/adapter.ts";
import { makeFolder, publishText } from "../formats/atomic.ts";
import { fromFloat32 } from "../formats/dtype.ts";
import { fileSize } from "../formats/files.ts";
import { writeMerged } from "../formats/merged.ts";
import { readFloat32 } from "../formats/safetensors.ts";
import type { TensorInfo as FileTensor } from "../formats/safetensors_header.ts";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensors_writer.ts";
import { openBase } from "./base.ts";
import type { Engine } from "./engine.ts";
import { floats, modelTensors, scaleOf } from "./program.ts";
import type { Trainer } from "./trainer.ts";

/** What {@linkcode saveMerged} can be told. */
export interface MergeOptions {
  /** Element type of the file; each tensor's own in the base, f32 for a model made from a seed. */
  readonly dtype?: "bf16" | "f32";
}

/**
 * Writes the merged model: next to the base's config and tokenizer where the weights came from files, else with the
 * program's own config.
 * @param trainer The trainer
 * @param dir The folder
 * @param options Element type
 * @throws {PacacError} io, usage
 */
export function saveMerged(
  trainer: Trainer,
  dir: string,
  options: MergeOptions = {},
): Promise<void> {
  const { info, weights } = trainer;
  if (weights === undefined) saveOwn(trainer, dir, options);
  else saveOverBase(trainer, dir, { ...options, weights });
  const config = join(dir, "config.json");
  if (fileSize(config) === undefined && Object.keys(info.config).length > 0) {
    publishText(config, JSON.stringify(info.config, null, 2) + "\n");
  }
  return Promise.resolve();
}

/** Only the program's tensors are written: a head that the model ties to its embedding would stay untrained. */
function saveOverBase(
  { engine }: Trainer,
  dir: string,
  { weights, ...options }: MergeOptions & { readonly weights: string },
): void {
  const { info } = engine;
  const { model, tensors } = openBase(info, weights);
  const names = new Set(modelTensors(info).map(({ name }) => name));
  const kept = new Map([...tensors].filter(([name]) => names.has(name)));
  const merged = (name: string) => mergedValues(engine, name, kept.get(name));
  writeMerged(dir, { weights: kept, merged, sourceFolder: model.folder, ...options });
}

function saveOwn({ engine }: Trainer, dir: string, { dtype = "f32" }: MergeOptions): void {
  const stored = dtype === "bf16" ? "BF16" : "F32";
  makeFolder(dir);
  const tensors = modelTensors(engine.info).map(({ name, shape }): TensorToWrite => ({
    name,
    shape,
    dtype: stored,
    bytes: function* () {
      yield fromFloat32(mergedValues(engine, name, undefined) ?? floats(engine.read(name)), stored);
    },
  }));
  writeSafetensors(join(dir, "model.safetensors"), tensors, { metadata: { format: "pt" } });
}

/** Values of a tensor that training changed; undefined for one that is as it was. */
function mergedValues(
  engine: Engine,
  name: string,
  stored: FileTensor | undefined,
): Float32Array | undefined {
  const linear = engine.info.adapted.find(({ weight }) => weight === name);
  if (linear !== undefined) {
    const base = stored === undefined ? floats(engine.read(name)) : readFloat32(stored);
    const indices = engine.read(linear.indices), delta = engine.read(linear.delta);
    const options = { inFeatures: linear.inFeatures, scale: scaleOf(engine.info) };
    return addColumns(base, { indices, delta }, options);
  }
  const trained = engine.info.tensors.some((t) => t.name === name && t.role === "parameter");
  return trained ? floats(engine.read(name)) : undefined;
}
