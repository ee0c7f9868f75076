/**
 * Writing an adapter as a GGUF file that llama.cpp adds to a model at run time (`--lora`).
 *
 * PaCA's update s·D of columns idx is the LoRA B·A with A [r, in] of unit rows and B = s·D (see adapter.ts). llama.cpp
 * scales by alpha / r, so alpha is r. Rows of B follow the rows of q and k where these are reordered in the model's file.
 * @module
 */
import { adapterInvalid, type AdapterSettings, type ModuleToWrite } from "./adapter.ts";
import { architectureOf, ggufName, reorderRows } from "./gguf_names.ts";
import { quantise } from "./gguf_quantise.ts";
import { f32, text, u32 } from "./gguf_types.ts";
import { type GgufTensorToWrite, writeGguf } from "./gguf_writer.ts";
import type { LlamaConfig } from "./hf_config.ts";

/** Settings of {@linkcode writeGgufAdapter}. */
export interface GgufAdapterOptions extends AdapterSettings {
  /** The base model. */
  readonly config: LlamaConfig;
  /** Name that people see. */
  readonly name: string;
}

/**
 * Writes an adapter; A and B are float32.
 * @param file The GGUF file
 * @param modules The updates: idx [r], D [out, r] of each layer
 * @param options Rank and alpha, base model
 * @throws {PacacError} `family-unknown`; `adapter-invalid` where a layer has no name in GGUF
 */
export function writeGgufAdapter(
  file: string,
  modules: readonly ModuleToWrite[],
  options: GgufAdapterOptions,
): void {
  const { name: arch, interleaved } = architectureOf(options.config);
  const metadata = new Map([
    ["general.architecture", text(arch)],
    ["general.type", text("adapter")],
    ["general.name", text(options.name)],
    ["general.file_type", u32(0)],
    ["adapter.type", text("lora")],
    ["adapter.lora.alpha", f32(options.rank)],
  ]);
  const tensors = modules.flatMap((module) => {
    const name = ggufName(`${module.module}.weight`);
    if (name === undefined) {
      throw adapterInvalid("GGUF has no name for the layer", { file, field: module.module });
    }
    return [firstMatrix(name, module), secondMatrix(name, module, { ...options, interleaved })];
  });
  writeGguf(file, { metadata, tensors });
}

// A [r, in]: row j is the unit vector of idx[j].
function firstMatrix(name: string, { indices, inFeatures }: ModuleToWrite): GgufTensorToWrite {
  const bytes = () => {
    const a = new Float32Array(indices.length * inFeatures);
    indices.forEach((index, j) => a[j * inFeatures + index] = 1);
    return [quantise(a, "F32", { name })];
  };
  return { name: `${name}.lora_a`, shape: [indices.length, inFeatures], dtype: "F32", bytes };
}

// B [out, r] = s·D.
function secondMatrix(
  name: string,
  { module, delta, outFeatures }: ModuleToWrite,
  { rank, alpha, config, interleaved }: GgufAdapterOptions & { readonly interleaved: boolean },
): GgufTensorToWrite {
  const bytes = () => {
    const b = delta.map((value) => alpha / rank * value);
    const reorder = interleaved && /\.(?:q|k)_proj$/.test(module);
    const order = { headDim: config.headDim, rowLength: rank, to: "interleaved" } as const;
    return [quantise(reorder ? reorderRows(b, order) : b, "F32", { name })];
  };
  return { name: `${name}.lora_b`, shape: [outFeatures, rank], dtype: "F32", bytes };
}
