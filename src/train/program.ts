/**
 * What the trainer knows of a program's tensors by their names and roles.
 * @module
 */
import { invariant, PacacError } from "../errors.ts";
import type { AdaptedLinear, ProgramInfo, TensorInfo } from "./engine.ts";

/** Flat vectors that all trained parameters, their gradients, moments and anchors are views of. */
const FLAT_TENSORS = ["parameters", "gradients", "moment1", "moment2", "anchor"] as const;

/** Suffix of a parameter's gradient. */
export const GRADIENT_SUFFIX = ".grad";

/**
 * Number of elements.
 * @param shape Extents
 */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * The tensors that a model's files hold: frozen weights, and trained ones that have a file's name.
 * @param info The program
 */
export function modelTensors(info: ProgramInfo): TensorInfo[] {
  const deltas = new Set(info.adapted.map(({ delta }) => delta));
  return info.tensors.filter(({ name, role }) =>
    role === "weight" || (role === "parameter" && !isFlat(name) && !deltas.has(name))
  );
}

/**
 * Trained tensors, each a view of `parameters`.
 * @param info The program
 */
export function trainedTensors(info: ProgramInfo): TensorInfo[] {
  return info.tensors.filter(({ name, role }) => role === "parameter" && !isFlat(name));
}

/**
 * alpha / rank, by which a delta is multiplied; 1 where nothing is adapted.
 * @param info The program
 */
export function scaleOf(info: ProgramInfo): number {
  return info.rank === 0 ? 1 : info.alpha / info.rank;
}

/**
 * Name of the tensor that weight decay pulls a delta to, in parametrisation "weight".
 * @param linear The adapted linear
 */
export function anchorOf(linear: AdaptedLinear): string {
  return `${linear.module}.paca_anchor`;
}

/**
 * Checks columns before native code gathers by them.
 * @param indices Columns
 * @param linear The linear they belong to
 * @throws {PacacError} adapter-invalid
 */
export function checkColumns(indices: ArrayLike<number>, linear: AdaptedLinear): void {
  for (let i = 0; i < indices.length; i++) {
    const inRange = indices[i] >= 0 && indices[i] < linear.inFeatures;
    if (inRange && (i === 0 || indices[i] > indices[i - 1])) continue;
    const state = inRange
      ? "is not above the one before"
      : `is no column below ${linear.inFeatures}`;
    throw new PacacError("adapter-invalid", `Cannot train column ${indices[i]}: it ${state}`, {
      place: { field: `${linear.indices}[${i}]` },
      remedy: "give different columns of the linear, sorted",
    });
  }
}

function isFlat(name: string): boolean {
  return FLAT_TENSORS.some((flat) => flat === name);
}

/**
 * Values that are float32 by their tensor's type.
 * @param values What an engine read
 */
export function floats(values: Float32Array | Int32Array): Float32Array {
  invariant(values instanceof Float32Array, "an engine gave whole numbers for floats");
  return values;
}

/**
 * Values that are int32 by their tensor's type.
 * @param values What an engine read
 */
export function integers(values: Float32Array | Int32Array): Int32Array {
  invariant(values instanceof Int32Array, "an engine gave floats for whole numbers");
  return values;
}

/**
 * How many rows' logits a program computes in one go.
 * @param info The program
 */
export function logitsRows(info: ProgramInfo): number {
  const rows = info.tensors.find(({ name }) => name === "rows");
  return rows === undefined ? 1 : rows.shape[0];
}
