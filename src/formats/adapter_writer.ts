/**
 * Writing adapter folders that peft and everything built on it loads.
 * @module
 */
import { invariant, must } from "../errors.ts";
import {
  type AdapterFormat,
  type AdapterSettings,
  type BaseColumns,
  CONFIG_FILE,
  type ModuleToWrite,
  PREFIX,
  shiftByBase,
  TENSORS_FILE,
} from "./adapter.ts";
import { makeFolder, publishText, removeIfThere } from "./atomic.ts";
import { fromFloat32 } from "./dtype.ts";
import { join } from "./files.ts";
import { type CardFacts, modelCard } from "./model_card.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors_writer.ts";

/** Settings of {@linkcode writeAdapter}. */
export interface WriteAdapterOptions extends AdapterSettings {
  /** "peft" by default. */
  readonly format?: AdapterFormat;
  /** Hub id or folder of the model, stored for peft; "" where there is none. */
  readonly baseModel: string;
  /** Names of the adapted layers as peft matches them; the full module names by default. */
  readonly targetModules?: readonly string[];
  /** W0's columns; needed by "paca". */
  readonly baseColumns?: BaseColumns;
  /** What README.md says beside what the adapter is. */
  readonly card?: CardFacts;
  /** The base's licence, where it is known. */
  readonly license?: string | undefined;
}

/**
 * Writes an adapter folder. The old settings go first and the new come last: a folder that was cut off in the middle
 * is no adapter, never a mixture.
 * @param folder The folder; made if needed
 * @param modules The updates
 * @param options Format, rank, alpha, base model
 */
export function writeAdapter(
  folder: string,
  modules: readonly ModuleToWrite[],
  options: WriteAdapterOptions,
): void {
  for (const module of modules) checkModule(module, options);
  const format = options.format ?? "peft";
  const tensors = modules.flatMap((module) => tensorsOf(module, format, options));
  const config = format === "lora" ? loraConfig(modules, options) : pacaConfig(modules, options);
  makeFolder(folder);
  removeIfThere(join(folder, CONFIG_FILE));
  writeSafetensors(join(folder, TENSORS_FILE), tensors, { metadata: { format: "pt" } });
  const { rank, alpha, baseModel, license, card } = options;
  const targets = options.targetModules ?? modules.map(({ module }) => module);
  const subject = { form: format, rank, alpha, baseModel, license, targets };
  publishText(join(folder, "README.md"), modelCard(subject, card));
  publishText(join(folder, CONFIG_FILE), JSON.stringify(config, null, 2) + "\n");
}

function checkModule(update: ModuleToWrite, { rank }: AdapterSettings): void {
  const { module, indices, delta, inFeatures, outFeatures } = update;
  invariant(indices.length === rank, `${module} has ${indices.length} columns, not ${rank}`);
  invariant(delta.length === outFeatures * rank, `${module} has a delta of a wrong size`);
  const rising = indices.every((index, i) => index > (indices[i - 1] ?? -1) && index < inFeatures);
  invariant(rising, `${module} has columns that are not rising or out of range`);
}

function tensorsOf(
  update: ModuleToWrite,
  format: AdapterFormat,
  options: WriteAdapterOptions,
): TensorToWrite[] {
  const { module, indices, delta, outFeatures } = update;
  const scale = options.alpha / options.rank;
  const shape = [outFeatures, options.rank];
  const name = PREFIX + module;
  if (format === "lora") {
    const b = delta.map((value) => scale * value);
    return [oneHot(update), floats(`${name}.lora_B.weight`, shape, b)];
  }
  const stored: TensorToWrite = {
    name: `${name}.paca_indices`,
    dtype: "I64",
    shape: [indices.length],
    bytes: new Uint8Array(BigInt64Array.from(indices, BigInt).buffer),
  };
  if (format === "peft") return [floats(`${name}.paca_delta`, shape, delta), stored];
  const base = must(options.baseColumns, "baseColumns")(module, indices);
  const p = shiftByBase(delta, base, { scale, sign: 1 });
  return [floats(`${name}.paca_w`, shape, p), stored];
}

function floats(name: string, shape: readonly number[], values: Float32Array): TensorToWrite {
  return { name, dtype: "F32", shape, bytes: fromFloat32(values, "F32") };
}

// A [r, in]: row j is the unit vector of idx[j], so that A·x picks the columns' inputs.
function oneHot({ module, indices, inFeatures }: ModuleToWrite): TensorToWrite {
  const a = new Float32Array(indices.length * inFeatures);
  indices.forEach((index, j) => a[j * inFeatures + index] = 1);
  return floats(`${PREFIX}${module}.lora_A.weight`, [indices.length, inFeatures], a);
}

function commonConfig(modules: readonly ModuleToWrite[], options: WriteAdapterOptions) {
  return {
    auto_mapping: null,
    base_model_name_or_path: options.baseModel === "" ? null : options.baseModel,
    exclude_modules: null,
    inference_mode: true,
    layers_pattern: null,
    layers_to_transform: null,
    modules_to_save: null,
    r: options.rank,
    revision: null,
    target_modules: [...options.targetModules ?? modules.map(({ module }) => module)],
    task_type: "CAUSAL_LM",
  };
}

function pacaConfig(modules: readonly ModuleToWrite[], options: WriteAdapterOptions) {
  return { ...commonConfig(modules, options), peft_type: "PACA", paca_alpha: options.alpha };
}

function loraConfig(modules: readonly ModuleToWrite[], options: WriteAdapterOptions) {
  return {
    ...commonConfig(modules, options),
    peft_type: "LORA",
    alpha_pattern: {},
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    layer_replication: null,
    loftq_config: {},
    lora_alpha: options.rank,
    lora_bias: false,
    lora_dropout: 0,
    megatron_config: null,
    megatron_core: "megatron.core",
    rank_pattern: {},
    use_dora: false,
    use_rslora: false,
  };
}
