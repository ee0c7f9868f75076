/**
 * The pretrained weights as they lie in their files, for conversions that must not see the rounding of bf16 storage.
 * @module
 */
import { must } from "../errors.ts";
import { type BaseColumns, takeColumns } from "../formats/adapter.ts";
import { type ModelFolder, openWeights, resolveModel } from "../formats/model_folder.ts";
import { readFloat32 } from "../formats/safetensors.ts";
import type { TensorInfo } from "../formats/safetensors_header.ts";
import type { ProgramInfo, TensorStore } from "./engine.ts";

/** A model's files and the tensors in them. */
export interface BaseModel {
  readonly model: ModelFolder;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * Opens the files that a program's weights come from.
 * @param info The program
 * @param weights Folder or file; the model description's source where it is not said
 * @throws {PacacError} model-not-found, safetensors-invalid
 */
export function openBase(info: ProgramInfo, weights: string | undefined): BaseModel {
  const model = resolveModel(info.source, { weights, need: "weights" });
  return { model, tensors: openWeights(model) };
}

/**
 * Reads W0[:, idx] of adapted linears: from the files where there are any, else from the program.
 * @param engine The program
 * @param weights Folder or file that the weights came from
 */
export function baseColumnsOf(engine: TensorStore, weights: string | undefined): BaseColumns {
  const tensors = weights === undefined ? undefined : openBase(engine.info, weights).tensors;
  return (module, indices) => {
    const found = engine.info.adapted.find((linear) => linear.module === module);
    const { weight, inFeatures } = must(found, `adapted linear ${module}`);
    const stored = tensors?.get(weight);
    const matrix = stored === undefined ? engine.read(weight) : readFloat32(stored);
    return takeColumns(matrix, indices, { inFeatures, factor: 1 });
  };
}
