/**
 * Reading adapter folders, whichever of the three forms they have, for one build.
 * @module
 */
import { z } from "zod";
import {
  type AdaptedModule,
  type AdapterFormat,
  adapterInvalid,
  type AdapterSettings,
  type BaseColumns,
  CONFIG_FILE,
  type ModuleUpdate,
  PREFIX,
  shiftByBase,
  sortColumns,
  TENSORS_FILE,
} from "./adapter.ts";
import { isFloat } from "./dtype.ts";
import { fileSize, join, readJson } from "./files.ts";
import { openSafetensors, readFloat32, readInt32 } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors_header.ts";

/** The build that an adapter is read for. */
export interface AdapterBuild extends AdapterSettings {
  /** Its adapted layers. */
  readonly modules: readonly AdaptedModule[];
}

/** An adapter that was read. */
export interface Adapter extends AdapterSettings {
  /** Form of the folder. */
  readonly format: AdapterFormat;
  /** What the folder calls its base model; "" where it says nothing. */
  readonly baseModel: string;
  /** In the order of the build's layers, indices rising. */
  readonly modules: readonly ModuleUpdate[];
}

const empty = z.record(z.string(), z.never()).nullish();
const configSchema = z.looseObject({
  peft_type: z.enum(["PACA", "LORA"]),
  r: z.int().min(1).max(2 ** 31 - 1),
  paca_alpha: z.number().positive().nullish(),
  lora_alpha: z.number().positive().nullish(),
  base_model_name_or_path: z.string().nullish(),
  rank_pattern: empty,
  alpha_pattern: empty,
  use_rslora: z.boolean().nullish(),
  use_dora: z.literal(false).nullish(),
  fan_in_fan_out: z.literal(false).nullish(),
  bias: z.literal("none").nullish(),
  layer_replication: z.null().optional(),
});

interface Source {
  readonly format: AdapterFormat;
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly rank: number;
  /** s of the file. */
  readonly scale: number;
}

/**
 * Reads an adapter folder. Where its s = alpha/r differs from the build's, deltas are multiplied by s_file/s_build, so
 * that s_build·D is the update the file holds.
 * @param folder The folder
 * @param build Layers, rank and alpha of the build
 * @param options W0's columns, needed where the folder has the form "paca"
 * @throws {PacacError} `adapter-invalid` where it does not fit
 */
export function readAdapter(
  folder: string,
  build: AdapterBuild,
  options: { readonly baseColumns?: BaseColumns } = {},
): Adapter {
  const { config, alpha, scale } = readSettings(folder);
  const file = join(folder, TENSORS_FILE);
  if (fileSize(file) === undefined) throw adapterInvalid("the file is not there", { file });
  const { tensors } = openSafetensors(file);
  const format = detectFormat(config.peft_type, tensors, file);
  if (config.r !== build.rank) {
    throw adapterInvalid(`its rank is ${config.r}, the build's is ${build.rank}`, {
      file: join(folder, CONFIG_FILE),
      field: "r",
      remedy: `compile with rank ${config.r}`,
    });
  }
  const source: Source = { format, file, tensors, rank: config.r, scale };
  checkNames(source, build.modules);
  const buildScale = build.alpha / build.rank;
  const modules = build.modules.map((module) => {
    const update = readModule(source, module, options.baseColumns);
    if (scale === buildScale) return update;
    return { ...update, delta: update.delta.map((d) => d * scale / buildScale) };
  });
  const baseModel = config.base_model_name_or_path ?? "";
  return { format, baseModel, rank: config.r, alpha, modules };
}

/**
 * Rank, alpha and base of an adapter folder; of a LoRA, as its file says them.
 * @param folder The folder
 * @throws {PacacError} `adapter-invalid`
 */
export function readAdapterSettings(
  folder: string,
): AdapterSettings & { readonly baseModel: string } {
  const { config, alpha } = readSettings(folder);
  return { rank: config.r, alpha, baseModel: config.base_model_name_or_path ?? "" };
}

function readSettings(folder: string) {
  const file = join(folder, CONFIG_FILE);
  if (fileSize(file) === undefined) {
    throw adapterInvalid("the file is not there", {
      file,
      remedy: `name a folder with ${CONFIG_FILE} and ${TENSORS_FILE}`,
    });
  }
  const parsed = configSchema.safeParse(readJson(file, { code: "adapter-invalid" }));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw adapterInvalid(issue?.message ?? "the settings do not fit", {
      file,
      field: issue?.path.join(".") ?? "",
      remedy: "only plain PaCA adapters, and LoRA adapters written from one, can be read",
    });
  }
  const config = parsed.data;
  const isLora = config.peft_type === "LORA";
  // peft's own defaults where the file leaves alpha out.
  const alpha = (isLora ? config.lora_alpha : config.paca_alpha) ?? 8;
  const scale = isLora && config.use_rslora === true
    ? alpha / Math.sqrt(config.r)
    : alpha / config.r;
  return { config, alpha, scale };
}

const SUFFIXES: Readonly<Record<AdapterFormat, readonly [string, string]>> = {
  peft: [".paca_delta", ".paca_indices"],
  paca: [".paca_w", ".paca_indices"],
  lora: [".lora_B.weight", ".lora_A.weight"],
};

function detectFormat(
  peftType: "PACA" | "LORA",
  tensors: ReadonlyMap<string, TensorInfo>,
  file: string,
): AdapterFormat {
  if (peftType === "LORA") return "lora";
  const names = [...tensors.keys()];
  const hasDelta = names.some((name) => name.endsWith(SUFFIXES.peft[0]));
  const hasWeight = names.some((name) => name.endsWith(SUFFIXES.paca[0]));
  if (hasDelta === hasWeight) {
    const state = hasDelta ? "both paca_delta and paca_w" : "neither paca_delta nor paca_w";
    throw adapterInvalid(`the tensors hold ${state}`, { file });
  }
  return hasDelta ? "peft" : "paca";
}

function checkNames({ format, file, tensors }: Source, modules: readonly AdaptedModule[]): void {
  const needed = new Set(
    modules.flatMap(({ module }) => SUFFIXES[format].map((suffix) => PREFIX + module + suffix)),
  );
  for (const name of needed) {
    if (tensors.has(name)) continue;
    const remedy = "compile with the targets that the adapter was trained with";
    throw adapterInvalid("the tensor is missing", { file, field: name, remedy });
  }
  for (const name of tensors.keys()) {
    if (needed.has(name)) continue;
    const remedy = "compile with the targets that the adapter was trained with";
    throw adapterInvalid("the build has no place for the tensor", { file, field: name, remedy });
  }
}

function readModule(
  source: Source,
  adapted: AdaptedModule,
  baseColumns: BaseColumns | undefined,
): ModuleUpdate {
  const { format, rank, scale } = source;
  const { module, outFeatures } = adapted;
  const stored = readMatrix(source, module + SUFFIXES[format][0], [outFeatures, rank]);
  const found = format === "lora" ? readOneHot(source, adapted) : readIndices(source, adapted);
  const { indices, columns } = sortColumns(found, stored);
  // Of a LoRA with the scale s, B is D: the update is s·B·A.
  if (format !== "paca") return { module, indices, delta: columns };
  if (baseColumns === undefined) {
    throw adapterInvalid("paca_w holds whole columns, the model's weights are needed too", {
      file: source.file,
      remedy: "name the model's weights with --weights DIR",
    });
  }
  const base = baseColumns(module, indices);
  return { module, indices, delta: shiftByBase(columns, base, { scale, sign: -1 }) };
}

function readMatrix(
  source: Source,
  key: string,
  shape: readonly [number, number],
): Float32Array {
  const tensor = tensorAt(source, key, shape);
  if (!isFloat(tensor.dtype)) throw wrongTensor(source, tensor, "floats are needed");
  const values = readFloat32(tensor);
  if (!values.every(Number.isFinite)) {
    throw wrongTensor(source, tensor, "a value is not a finite number");
  }
  return values;
}

function tensorAt(source: Source, key: string, shape: readonly number[]): TensorInfo {
  const tensor = source.tensors.get(PREFIX + key);
  if (tensor === undefined) {
    throw adapterInvalid("the tensor is missing", { file: source.file, field: PREFIX + key });
  }
  if (tensor.shape.join() === shape.join()) return tensor;
  throw wrongTensor(source, tensor, `[${shape.join(", ")}] is needed`);
}

function wrongTensor({ file }: Source, tensor: TensorInfo, state: string) {
  const what = `${tensor.dtype} [${tensor.shape.join(", ")}]`;
  return adapterInvalid(`the tensor is ${what}: ${state}`, { file, field: tensor.name });
}

function readIndices(source: Source, { module, inFeatures }: AdaptedModule): Int32Array {
  const tensor = tensorAt(source, `${module}.paca_indices`, [source.rank]);
  if (tensor.dtype !== "I64" && tensor.dtype !== "I32") {
    throw wrongTensor(source, tensor, "I64 is needed");
  }
  const indices = readInt32(tensor);
  const outside = indices.find((index) => index < 0 || index >= inFeatures);
  if (outside !== undefined) {
    throw wrongTensor(source, tensor, `column ${outside} is not within ${inFeatures}`);
  }
  if (new Set(indices).size < indices.length) {
    throw wrongTensor(source, tensor, "a column is there twice");
  }
  return indices;
}

const GENERAL = "a LoRA that is no selection of columns does not fit PaCA: merge it into the " +
  "model, or train a PaCA adapter";

// A LoRA is a PaCA where each row of A is a unit vector, each of another column.
function readOneHot(source: Source, { module, inFeatures }: AdaptedModule): Int32Array {
  const { file, rank } = source;
  const key = `${module}.lora_A.weight`;
  const a = readMatrix(source, key, [rank, inFeatures]);
  const indices = new Int32Array(rank);
  for (let j = 0; j < rank; j++) {
    const row = a.subarray(j * inFeatures, (j + 1) * inFeatures);
    const index = row.indexOf(1);
    if (index < 0 || row.some((value, i) => value !== 0 && i !== index)) {
      const message = `row ${j} of A is no unit vector`;
      throw adapterInvalid(message, { file, field: PREFIX + key, remedy: GENERAL });
    }
    indices[j] = index;
  }
  if (new Set(indices).size < rank) {
    const message = "two rows of A are the same column";
    throw adapterInvalid(message, { file, field: PREFIX + key, remedy: GENERAL });
  }
  return indices;
}
