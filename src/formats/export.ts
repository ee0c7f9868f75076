/**
 * An adapter and its base become what other programs load: another form of adapter, merged weights, GGUF.
 *
 * Everything comes from files: nothing is compiled. W0[:, idx] + s·D is added in float32 and rounded once, to the type asked for.
 * @module
 */
import { must, PacacError } from "../errors.ts";
import {
  type AdapterFormat,
  addColumns,
  type BaseColumns,
  type ModuleToWrite,
  PREFIX,
  takeColumns,
  TENSORS_FILE,
} from "./adapter.ts";
import { readAdapter, readAdapterSettings } from "./adapter_reader.ts";
import { writeAdapter } from "./adapter_writer.ts";
import { publishText } from "./atomic.ts";
import { join } from "./files.ts";
import { writeGgufAdapter } from "./gguf_adapter.ts";
import { writeGgufModel } from "./gguf_export.ts";
import type { WrittenDtype } from "./gguf_quantise.ts";
import { readConfig } from "./hf_config.ts";
import { writeMerged } from "./merged.ts";
import { licenseIn, modelCard, trainingSection } from "./model_card.ts";
import { type ModelFolder, openWeights } from "./model_folder.ts";
import { openSafetensors, readFloat32 } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors_header.ts";

/** What an adapter can become. */
export type ExportKind = AdapterFormat | "merged" | "gguf" | "gguf-lora";

/** What {@linkcode exportAdapter} takes beside the adapter. */
export interface ExportOptions {
  readonly to: ExportKind;
  /** The base model's folder. */
  readonly base: ModelFolder;
  /** Folder, or for GGUF the file. */
  readonly out: string;
  /** Type of matrices; for merged weights bf16 or f32, each tensor's own by default. */
  readonly dtype?: WrittenDtype;
}

/**
 * Writes an adapter in another form.
 * @param folder The adapter, in any form
 * @param options What it becomes, the base, where to
 * @throws {PacacError} adapter-invalid, weights-mismatch, usage, io
 */
export function exportAdapter(folder: string, options: ExportOptions): void {
  const { to, base, out, dtype } = options;
  const weights = openWeights(base);
  const { rank, alpha, baseModel } = readAdapterSettings(folder);
  const sizes = adaptedModules(folder, weights);
  const baseColumns = columnsOf(weights);
  const { modules } = readAdapter(folder, { rank, alpha, modules: sizes }, { baseColumns });
  const updates: ModuleToWrite[] = modules.map((update, i) => ({ ...sizes[i], ...update }));
  const merged = mergedBy(updates, { weights, scale: alpha / rank });
  const targetModules = [...new Set(updates.map(({ module }) => lastName(module)))];
  const section = trainingSection(folder), license = licenseIn(base.folder);
  const card = section === undefined ? {} : { section };
  switch (to) {
    case "merged": {
      writeMerged(out, {
        ...{ weights, merged, sourceFolder: base.folder },
        ...(dtype === undefined ? {} : { dtype: mergedDtype(dtype) }),
      });
      const subject = { form: to, rank, alpha, baseModel, license, targets: targetModules };
      return publishText(join(out, "README.md"), modelCard(subject, card));
    }
    case "gguf":
      return writeGgufModel(out, {
        ...{ weights, merged, sourceFolder: base.folder },
        dtype: dtype ?? "F16",
      });
    case "gguf-lora": {
      const config = readConfig(join(base.folder, "config.json"));
      const name = must(folder.split("/").filter((part) => part !== "").at(-1), "folder name");
      return writeGgufAdapter(out, updates, { rank, alpha, config, name });
    }
    default:
      return writeAdapter(out, updates, {
        ...{ format: to satisfies AdapterFormat, rank, alpha, baseModel, baseColumns },
        ...{ targetModules, card, license },
      });
  }
}

/** Linears of the base that the adapter has tensors for. */
function adaptedModules(folder: string, weights: ReadonlyMap<string, TensorInfo>) {
  const { tensors } = openSafetensors(join(folder, TENSORS_FILE));
  const parts = new Set<string>();
  for (const name of tensors.keys()) {
    if (!name.startsWith(PREFIX)) continue;
    const words = name.slice(PREFIX.length).split(".");
    // MODULE.paca_delta, MODULE.lora_A.weight, MODULE.lora_A.default.weight
    for (let cut = 1; cut <= 3; cut++) parts.add(words.slice(0, -cut).join("."));
  }
  return [...weights.values()].flatMap(({ name, shape }) => {
    const module = name.replace(/\.weight$/, "");
    if (shape.length !== 2 || !parts.has(module)) return [];
    return [{ module, outFeatures: shape[0], inFeatures: shape[1] }];
  });
}

function columnsOf(weights: ReadonlyMap<string, TensorInfo>): BaseColumns {
  return (module, indices) => {
    const tensor = must(weights.get(`${module}.weight`), `weight of ${module}`);
    return takeColumns(readFloat32(tensor), indices, { inFeatures: tensor.shape[1], factor: 1 });
  };
}

function mergedBy(
  updates: readonly ModuleToWrite[],
  { weights, scale }: {
    readonly weights: ReadonlyMap<string, TensorInfo>;
    readonly scale: number;
  },
): (name: string) => Float32Array | undefined {
  const byWeight = new Map(updates.map((update) => [`${update.module}.weight`, update]));
  return (name) => {
    const update = byWeight.get(name);
    if (update === undefined) return undefined;
    const values = readFloat32(must(weights.get(name), name));
    return addColumns(values, update, { inFeatures: update.inFeatures, scale });
  };
}

function mergedDtype(dtype: WrittenDtype): "bf16" | "f32" {
  if (dtype === "BF16") return "bf16";
  if (dtype === "F32") return "f32";
  throw new PacacError("usage", `Cannot write merged weights as ${dtype}`, {
    place: { field: "--dtype" },
    remedy: "use F32 or BF16, or --to gguf",
  });
}

function lastName(module: string): string {
  return module.slice(module.lastIndexOf(".") + 1);
}
