/**
 * Writing a merged model: all weights with the adapted ones replaced, in a folder that transformers loads.
 * @module
 */
import { PacacError } from "../errors.ts";
import { makeFolder, publishCopy, publishText } from "./atomic.ts";
import { type Dtype, type FloatDtype, fromFloat32, isFloat, toFloat32 } from "./dtype.ts";
import { fileSize, isFolder, join, readJson, withFile } from "./files.ts";
import { byteChunks } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors_header.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors_writer.ts";

/** What goes into a merged model. */
export interface MergedModel {
  /** All tensors of the base model. */
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /** A tensor's new values, or undefined where it stays; asked when its turn comes. */
  readonly merged: (name: string) => Float32Array | undefined;
  /** Folder whose config and tokenizer are copied. */
  readonly sourceFolder: string;
  /** Element type of all floats; each tensor's own by default. */
  readonly dtype?: "bf16" | "f32";
}

/** Files that are copied where they are there. */
const COMPANIONS = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
] as const;

/** Elements converted at once. */
const CHUNK = 1 << 20;

/**
 * Writes a merged model, tensor by tensor.
 * @param folder Where to; made if needed, not the source folder
 * @param model Weights, new values, source folder
 * @throws {PacacError} `usage` where it would overwrite its source
 */
export function writeMerged(folder: string, model: MergedModel): void {
  makeFolder(folder);
  refuseSource(folder, model.sourceFolder);
  const tensors = [...model.weights.values()].map((tensor) => mergedTensor(tensor, model));
  writeSafetensors(join(folder, "model.safetensors"), tensors, { metadata: { format: "pt" } });
  for (const name of COMPANIONS) {
    const file = join(model.sourceFolder, name);
    if (fileSize(file) !== undefined) publishCopy(file, folder);
  }
  copyConfig(folder, model);
}

function refuseSource(folder: string, source: string): void {
  if (!isFolder(source)) return;
  const same = withFile(folder, () => Deno.realPathSync(folder) === Deno.realPathSync(source));
  if (!same) return;
  throw new PacacError("usage", "Cannot write merged model: the folder is the base model's own", {
    place: { file: folder },
    remedy: "name another folder",
  });
}

function mergedTensor(tensor: TensorInfo, model: MergedModel): TensorToWrite {
  const { name, shape } = tensor;
  const chosen = model.dtype === undefined ? undefined : model.dtype === "bf16" ? "BF16" : "F32";
  const dtype: Dtype = isFloat(tensor.dtype) ? chosen ?? tensor.dtype : tensor.dtype;
  return { name, shape, dtype, bytes: () => mergedBytes(tensor, dtype, model) };
}

function* mergedBytes(
  tensor: TensorInfo,
  dtype: Dtype,
  { merged }: MergedModel,
): Generator<Uint8Array> {
  const values = isFloat(dtype) ? merged(tensor.name) : undefined;
  if (values !== undefined && isFloat(dtype)) {
    for (let at = 0; at < values.length; at += CHUNK) {
      yield stored(values.subarray(at, at + CHUNK), dtype, tensor);
    }
    return;
  }
  for (const bytes of byteChunks(tensor, CHUNK * 8)) {
    const from = tensor.dtype;
    const same = from === dtype || !isFloat(from) || !isFloat(dtype);
    yield same ? bytes : stored(toFloat32(new Uint8Array(bytes), from), dtype, tensor);
  }
}

function stored(values: Float32Array, dtype: FloatDtype, tensor: TensorInfo): Uint8Array {
  // Only F16 has less range than float32: beyond 65504 (65520 rounded) a weight would become infinite.
  const beyond = dtype === "F16" && values.some((value) => Math.abs(value) >= 65520);
  if (!beyond) return fromFloat32(values, dtype);
  throw new PacacError("weights-mismatch", "Cannot write tensor: a value is too large for F16", {
    place: { field: tensor.name },
    remedy: "choose bf16 or f32 for the merged model",
  });
}

// The config names the stored type: transformers 4 as torch_dtype, 5 as dtype.
function copyConfig(folder: string, { sourceFolder, dtype }: MergedModel): void {
  const file = join(sourceFolder, "config.json");
  if (fileSize(file) === undefined) return;
  if (dtype === undefined) return publishCopy(file, folder);
  const config = Object(readJson(file, { code: "config-invalid" }));
  const key = "torch_dtype" in config ? "torch_dtype" : "dtype";
  const text = { ...config, [key]: dtype === "bf16" ? "bfloat16" : "float32" };
  publishText(join(folder, "config.json"), JSON.stringify(text, null, 2) + "\n");
}
