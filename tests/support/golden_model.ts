/**
 * The golden models of tests/golden, made with PyTorch in float64: their graphs, and engines filled with their values.
 * @module
 */
import { inRepository } from "./paths.ts";
import { openSafetensors, readFloat32, readInt32 } from "../../src/formats/mod.ts";
import type { SafetensorsFile } from "../../src/formats/mod.ts";
import { isFloat } from "../../src/formats/dtype.ts";
import {
  adamw,
  fineTune,
  type FineTuneSpec,
  fromPretrained,
  full,
  paca,
  type TrainSpec,
} from "../../src/mod.ts";
import type { Batch, Engine } from "../../src/train/engine.ts";
import { relativeError } from "./compare.ts";

/** Methods that have golden runs here. */
export const GOLDEN_METHODS = ["paca_delta", "paca_weight", "full"] as const;
/** One of them. */
export type GoldenMethod = typeof GOLDEN_METHODS[number];
/** Families copied into tests/golden. */
export const GOLDEN_FAMILIES = ["llama_tied", "llama3_rope", "qwen2"] as const;

interface Run {
  readonly losses: readonly number[];
  readonly grad_norms: readonly number[];
}

/** What golden.json says. */
export interface GoldenSettings extends Readonly<Record<GoldenMethod, Run>> {
  readonly rank: number;
  readonly alpha: number;
  readonly scale: number;
  readonly lr: number;
  readonly weight_decay: number;
  readonly clip_norm: number;
  readonly steps: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly loss: number;
}

/** A golden model on disk. */
export interface Golden {
  readonly folder: string;
  readonly settings: GoldenSettings;
  readonly values: SafetensorsFile;
  readonly batches: readonly Batch[];
  readonly batch: number;
  readonly seqLen: number;
}

/**
 * Opens a golden model.
 * @param family Its folder's name
 * @param root The folder of families
 */
export function openGolden(family: string, root: string = inRepository("tests/golden")): Golden {
  const folder = `${root}/${family}`;
  const values = openSafetensors(`${folder}/golden.safetensors`);
  const ids = values.tensors.get("batch0.input_ids");
  const [batch, seqLen] = ids?.shape ?? [0, 0];
  const batches = [0, 1].map((i): Batch => ({
    inputIds: ints(values, `batch${i}.input_ids`),
    labels: ints(values, `batch${i}.labels`),
    segmentIds: ints(values, `batch${i}.segment_ids`),
  }));
  const settings = JSON.parse(Deno.readTextFileSync(`${folder}/golden.json`));
  return { folder, settings, values, batches, batch, seqLen };
}

/**
 * The description of a golden run.
 * @param golden The model
 * @param method The method of the run
 * @param storage Type of weights and kept activations
 */
export function goldenSpec(
  golden: Golden,
  method: GoldenMethod,
  storage: TrainSpec["storage"] = "f32",
): FineTuneSpec {
  const { settings, batch, seqLen } = golden;
  const targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
  const { rank, alpha, lr, betas, eps, weight_decay, clip_norm } = settings;
  const parametrisation = method === "paca_weight" ? "weight" : "delta";
  return fineTune({
    name: "golden",
    model: fromPretrained(golden.folder),
    adapt: method === "full" ? full() : paca({ rank, alpha, targets, parametrisation }),
    train: {
      batch,
      seqLen,
      optimizer: adamw({ learningRate: lr, betas, epsilon: eps, weightDecay: weight_decay }),
      storage,
      maxGradNorm: clip_norm,
      recompute: method === "full" ? 2 : 0,
    },
  });
}

/**
 * Gives an engine the golden weights and columns.
 * @param engine A fresh engine
 * @param golden The model
 */
export function fillEngine(engine: Engine, golden: Golden): void {
  const file = openSafetensors(`${golden.folder}/model.safetensors`);
  for (const { name, role } of engine.info.tensors) {
    const tensor = file.tensors.get(name);
    if (tensor === undefined || (role !== "weight" && role !== "parameter")) continue;
    if (!isFloat(tensor.dtype) || tensor.dtype === "F64") {
      throw new Error(`${name} is ${tensor.dtype}`);
    }
    engine.load(name, { file: tensor.file, byteOffset: tensor.byteOffset, dtype: tensor.dtype });
  }
  const { scale } = golden.settings;
  for (const { module, indices, outFeatures, inFeatures, weight } of engine.info.adapted) {
    const index = ints(golden.values, `paca.${module}.idx`);
    engine.write(indices, index);
    if (engine.info.parametrisation === "delta") continue;
    const values = floats(file, weight);
    const anchor = new Float32Array(outFeatures * index.length);
    for (let o = 0; o < outFeatures; o++) {
      index.forEach((k, j) => anchor[o * index.length + j] = -values[o * inFeatures + k] / scale);
    }
    engine.write(`${module}.paca_anchor`, anchor);
  }
}

/** How far an engine is from golden. */
export interface GoldenErrors {
  /** Of the first loss, relative. */
  readonly loss: number;
  /** Largest over all gradients, ‖Δ‖ / ‖ref‖. */
  readonly gradient: number;
  readonly logits: number;
  /** Largest over the losses of all steps, relative. */
  readonly losses: number;
  readonly gradNorms: number;
}

/**
 * Runs gradients, logits and all training steps of a golden run.
 * @param engine A filled engine
 * @param golden The model
 * @param method The run
 */
export async function measure(
  engine: Engine,
  golden: Golden,
  method: GoldenMethod,
): Promise<GoldenErrors> {
  const { settings, batches } = golden;
  const run = settings[method];
  const { loss } = await engine.gradients([batches[0]]);
  const gradient = Math.max(...gradientErrors(engine, golden, method));
  const logits = await logitsError(engine, golden);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < settings.steps; i++) {
    const step = await engine.step([batches[i % 2]], {
      learningRate: settings.lr,
      weightDecay: settings.weight_decay,
      maxGradNorm: settings.clip_norm,
      step: i + 1,
    });
    losses.push(step.loss);
    norms.push(step.gradNorm);
  }
  losses.push((await engine.forward(batches[settings.steps % 2])).loss);
  const worst = (found: readonly number[], wanted: readonly number[]) =>
    Math.max(...found.map((value, i) => Math.abs(value - wanted[i]) / Math.abs(wanted[i])));
  return {
    loss: Math.abs(loss - settings.loss) / settings.loss,
    gradient,
    logits,
    losses: worst(losses, run.losses),
    gradNorms: worst(norms, run.grad_norms),
  };
}

function gradientErrors(engine: Engine, golden: Golden, method: GoldenMethod): number[] {
  const errors: number[] = [];
  for (const { name } of engine.info.tensors) {
    if (!name.endsWith(".grad")) continue;
    const parameter = name.slice(0, -".grad".length);
    const key = method === "full"
      ? `full.grad.${parameter}`
      : `paca.${parameter.replace(/paca_delta$/, "grad")}`;
    if (!golden.values.tensors.has(key)) continue;
    errors.push(relativeError(engine.read(name), floats(golden.values, key)));
  }
  if (errors.length < 10) throw new Error(`only ${errors.length} gradients compared`);
  return errors;
}

/** Golden logits are those of batch 0, zeros at padding. */
async function logitsError(engine: Engine, golden: Golden): Promise<number> {
  const { inputIds, segmentIds } = golden.batches[0];
  const expected = floats(golden.values, "logits");
  const vocab = engine.info.vocabSize;
  await engine.forward(golden.batches[0]);
  const rows = Int32Array.from(inputIds.keys()).filter((row) => segmentIds[row] >= 0);
  const found: number[] = [];
  const wanted: number[] = [];
  for (let at = 0; at < rows.length; at += 32) {
    const some = rows.subarray(at, at + 32);
    found.push(...await engine.logits(some));
    some.forEach((row) => wanted.push(...expected.subarray(row * vocab, (row + 1) * vocab)));
  }
  return relativeError(found, wanted);
}

function floats(file: SafetensorsFile, name: string): Float32Array {
  const tensor = file.tensors.get(name);
  if (tensor === undefined) throw new Error(`${name} is not in ${file.path}`);
  return readFloat32(tensor);
}

function ints(file: SafetensorsFile, name: string): Int32Array {
  const tensor = file.tensors.get(name);
  if (tensor === undefined) throw new Error(`${name} is not in ${file.path}`);
  return readInt32(tensor);
}
