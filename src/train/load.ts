/**
 * Fills a program: weights from files or from a seed, columns drawn or from an adapter, trained tensors at their start.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { TensorInfo as FileTensor } from "../formats/safetensors_header.ts";
import { loadAdapter } from "./adapter.ts";
import { refreshAnchors } from "./anchors.ts";
import { openBase } from "./base.ts";
import type { AdaptedLinear, Engine, TensorInfo, TensorStore, WeightSource } from "./engine.ts";
import { elementsOf, modelTensors } from "./program.ts";
import { drawColumns, drawNormals } from "./random.ts";
import { type TensorTable, Trainer } from "./trainer.ts";

/** Standard deviation of fresh weights, as in GPT-2 and the llama family's initializer_range. */
const INIT_DEVIATION = 0.02;

/** What {@linkcode loadTrainer} takes beside the engine. */
export interface LoadOptions {
  /** A folder with safetensors, or one such file; the model description's source where it is not said. */
  readonly weights?: string;
  /** A folder with an adapter to go on from. */
  readonly adapter?: string;
  /** Makes fresh weights instead of loading any. */
  readonly init?: { readonly seed: number };
  /** Of the data's order; the model description's where it is not said. */
  readonly seed?: number;
}

/**
 * Fills a program and makes its trainer. Where it fails, the engine is disposed of.
 * @param engine The program, empty
 * @param options Where weights and adapter are
 * @throws {PacacError} model-not-found, weights-mismatch, safetensors-invalid, adapter-invalid, io
 */
export function loadTrainer<Table extends TensorTable = TensorTable>(
  engine: Engine,
  options: LoadOptions = {},
): Promise<Trainer<Table>> {
  return Promise.resolve().then(() => {
    try {
      return fill<Table>(engine, options);
    } catch (error) {
      engine.dispose();
      throw error;
    }
  });
}

function fill<Table extends TensorTable>(engine: Engine, options: LoadOptions): Trainer<Table> {
  const weights = fillModel(engine, options);
  for (const { name, shape } of engine.info.tensors) {
    if (/^moment[12]$/.test(name)) engine.write(name, new Float32Array(elementsOf(shape)));
  }
  refreshAnchors(engine);
  return new Trainer<Table>(engine, {
    ...(weights === undefined ? {} : { weights }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
}

/**
 * Fills a program's weights, columns and deltas; tells where the weights came from, where from files.
 * @param store The program, empty
 * @param options Where weights and adapter are
 * @throws {PacacError} model-not-found, weights-mismatch, safetensors-invalid, adapter-invalid, io
 */
export function fillModel(store: TensorStore, options: LoadOptions): string | undefined {
  const weights = options.init === undefined ? loadWeights(store, options.weights) : undefined;
  if (options.init !== undefined) initWeights(store, options.init.seed);
  for (const linear of store.info.adapted) startColumns(store, linear);
  if (options.adapter !== undefined) loadAdapter(store, options.adapter, { weights });
  return weights;
}

/** Columns drawn from the seed, and a delta of zeros: the model starts as it is. */
function startColumns(
  engine: TensorStore,
  { module, indices, delta, inFeatures, outFeatures }: AdaptedLinear,
) {
  const { seed, rank } = engine.info;
  engine.write(indices, drawColumns(seed, module, { inFeatures, rank }));
  engine.write(delta, new Float32Array(outFeatures * rank));
}

/** Gives every tensor of the model its place in a file; tells where the files are. */
function loadWeights(engine: TensorStore, given: string | undefined): string {
  const { info } = engine;
  if (given === undefined && info.source === "") {
    throw new PacacError("model-not-found", `Cannot load ${info.name}: no weights are named`, {
      remedy: "pass weights (--weights DIR), or init with a seed for fresh ones",
    });
  }
  const { model, tensors: files } = openBase(info, given);
  const place = given ?? model.folder;
  const wanted = modelTensors(info);
  checkFit(wanted, files, place);
  for (const { name } of wanted) {
    const source = files.get(name);
    if (source !== undefined) engine.load(name, sourceOf(source));
  }
  return place;
}

/** All that does not fit is listed at once: one missing name is a typo, a hundred are another model. */
function checkFit(
  wanted: readonly TensorInfo[],
  files: ReadonlyMap<string, FileTensor>,
  place: string,
): void {
  const problems = wanted.flatMap(({ name, shape }) => {
    const found = files.get(name);
    if (found === undefined) return [`${name} is missing`];
    if (`${found.shape}` === `${shape}`) return [];
    return [`${name} is [${found.shape}] in place of [${shape}]`];
  });
  if (problems.length === 0) return;
  const more = problems.length > 8 ? `; and ${problems.length - 8} more` : "";
  throw new PacacError(
    "weights-mismatch",
    `Cannot load the weights: ${problems.slice(0, 8).join("; ")}${more}`,
    { place: { file: place }, remedy: "use the weights of the model that was compiled" },
  );
}

function sourceOf({ name, file, byteOffset, dtype }: FileTensor): WeightSource {
  if (dtype === "F32" || dtype === "BF16" || dtype === "F16") return { file, byteOffset, dtype };
  throw new PacacError("weights-mismatch", `Cannot load ${name}: its type is ${dtype}`, {
    place: { file, field: name },
    remedy: "convert it to F32, BF16 or F16",
  });
}

/** Fresh weights: matrices normal, vectors of norms 1, biases 0. */
function initWeights(engine: TensorStore, seed: number): void {
  for (const { name, shape } of modelTensors(engine.info)) {
    const length = elementsOf(shape);
    if (shape.length > 1) {
      engine.write(name, drawNormals(seed, name, { length, deviation: INIT_DEVIATION }));
    } else {
      engine.write(name, new Float32Array(length).fill(name.endsWith(".bias") ? 0 : 1));
    }
  }
}
