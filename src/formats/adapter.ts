/**
 * Adapter folders: adapter_config.json and adapter_model.safetensors in one of three forms of the same update.
 *
 * PaCA changes r input columns of a weight W0 [out, in]: W0[:, idx] + s·D, with s = alpha/r and D [out, r].
 * - `peft`: D itself (`paca_delta`), as Hugging Face peft 0.22 stores it, idx rising.
 * - `paca`: P = W0[:, idx]/s + D (`paca_w`), as the paper's code stores it, idx in any order; needs W0's columns.
 * - `lora`: A [r, in] with row j = unit vector of idx[j], B = s·D, alpha = r, so that (alpha/r)·B·A is the same update.
 * @module
 */
import { invariant, PacacError } from "../errors.ts";

/** The forms of an adapter folder. */
export const ADAPTER_FORMATS = ["peft", "paca", "lora"] as const satisfies readonly AdapterFormat[];
/** One of them. */
export type AdapterFormat = "peft" | "paca" | "lora";

/** A linear layer that is adapted. */
export interface AdaptedModule {
  /** Its name, as `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
}

/** The update of one layer. */
export interface ModuleUpdate {
  readonly module: string;
  /** idx [r], columns of the weight, rising. */
  readonly indices: Int32Array;
  /** D [out, r], row by row. */
  readonly delta: Float32Array;
}

/** An update to store, with its layer's sizes. */
export interface ModuleToWrite extends AdaptedModule, ModuleUpdate {}

/** Reads W0[:, idx] of a layer as [out, r], row by row. */
export type BaseColumns = (module: string, indices: Int32Array) => Float32Array;

/** What all layers of an adapter have in common. */
export interface AdapterSettings {
  /** Columns a layer. */
  readonly rank: number;
  /** s = alpha / rank. */
  readonly alpha: number;
}

/** Name of the settings' file. */
export const CONFIG_FILE = "adapter_config.json";
/** Name of the tensors' file. */
export const TENSORS_FILE = "adapter_model.safetensors";
/** What peft puts before module names. */
export const PREFIX = "base_model.model.";

/**
 * The error for an adapter that does not fit.
 * @param message What is wrong
 * @param detail File, field, remedy
 */
export function adapterInvalid(
  message: string,
  detail: { readonly file: string; readonly field?: string; readonly remedy?: string },
): PacacError {
  const { file, field, remedy = "use an adapter that was made for this model and build" } = detail;
  const place = field === undefined ? { file } : { file, field };
  return new PacacError("adapter-invalid", `Cannot read adapter: ${message}`, { place, remedy });
}

/**
 * Sorts idx, and the columns of a matrix with it.
 * @param indices idx [r]
 * @param columns [out, r], row by row
 */
export function sortColumns(
  indices: Int32Array,
  columns: Float32Array,
): { readonly indices: Int32Array; readonly columns: Float32Array } {
  const rank = indices.length;
  const order = [...indices.keys()].sort((a, b) => (indices[a] ?? 0) - (indices[b] ?? 0));
  const moved = new Float32Array(columns.length);
  for (let at = 0; at < columns.length; at += rank) {
    order.forEach((from, to) => moved[at + to] = columns[at + from] ?? 0);
  }
  return { indices: Int32Array.from(order, (i) => indices[i] ?? 0), columns: moved };
}

/**
 * P = W0[:, idx]/s + D, or with sign -1 back: D = P − W0[:, idx]/s.
 * @param values D or P
 * @param base W0[:, idx]
 * @param options s, and the sign
 */
export function shiftByBase(
  values: Float32Array,
  base: Float32Array,
  options: { readonly scale: number; readonly sign: 1 | -1 },
): Float32Array {
  const { scale, sign } = options;
  invariant(base.length === values.length, "Base columns have another size than the update");
  return values.map((value, i) => value + sign * ((base[i] ?? 0) / scale));
}

/**
 * Columns of a matrix times a factor.
 * @param matrix [out, in]
 * @param indices [r]
 * @param options in, and the factor
 * @returns [out, r]
 */
export function takeColumns(
  matrix: ArrayLike<number>,
  indices: ArrayLike<number>,
  { inFeatures, factor }: { readonly inFeatures: number; readonly factor: number },
): Float32Array {
  const rank = indices.length;
  const out = matrix.length / inFeatures;
  const columns = new Float32Array(out * rank);
  for (let o = 0; o < out; o++) {
    for (let r = 0; r < rank; r++) {
      columns[o * rank + r] = matrix[o * inFeatures + indices[r]] * factor;
    }
  }
  return columns;
}

/**
 * Adds an update to its weight, in place: W[:, idx] += s·D.
 * @param weight W [out, in]
 * @param update idx [r], D [out, r]
 * @param options in, and s
 * @returns W
 */
export function addColumns(
  weight: Float32Array,
  { indices, delta }: { readonly indices: ArrayLike<number>; readonly delta: ArrayLike<number> },
  { inFeatures, scale }: { readonly inFeatures: number; readonly scale: number },
): Float32Array {
  const rank = indices.length;
  for (let o = 0; o < weight.length / inFeatures; o++) {
    for (let r = 0; r < rank; r++) {
      weight[o * inFeatures + indices[r]] += scale * delta[o * rank + r];
    }
  }
  return weight;
}
