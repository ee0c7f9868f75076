/**
 * Writing a model as one GGUF file that llama.cpp and what is built on it load: sizes, tokenizer, weights.
 *
 * Matrices get the chosen type, everything of one dimension stays float32, as llama.cpp wants. Where a row is no whole
 * number of blocks of 32, the matrix is float16 instead. With Q4_0, embedding and head are Q8_0: they are looked up and
 * scored directly, and 4 bits there cost most.
 * @module
 */
import { PacacError } from "../errors.ts";
import { isFloat, toFloat32 } from "./dtype.ts";
import { join } from "./files.ts";
import { modelMetadata, ROPE_FACTORS, ropeFactors } from "./gguf_config.ts";
import {
  architectureOf,
  ggufName,
  type ModelTensor,
  modelTensors,
  reorderRows,
} from "./gguf_names.ts";
import { quantise, type WrittenDtype } from "./gguf_quantise.ts";
import { GGUF_DTYPES, text } from "./gguf_types.ts";
import { vocabularyMetadata } from "./gguf_vocabulary.ts";
import { type GgufTensorToWrite, writeGguf } from "./gguf_writer.ts";
import { type LlamaConfig, readConfig } from "./hf_config.ts";
import { readBytes } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors_header.ts";

/** What goes into a GGUF file. */
export interface GgufModel {
  /** All tensors of the base model, by Hugging Face's names. */
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /** A tensor's new values, or undefined where it stays; asked when its turn comes. Nothing is merged by default. */
  readonly merged?: (name: string) => Float32Array | undefined;
  /** Folder with config and tokenizer. */
  readonly sourceFolder: string;
  /** Element type of the matrices. */
  readonly dtype: WrittenDtype;
  /** Name that people see; the folder's by default. */
  readonly name?: string;
}

/** Elements converted at once, at least. */
const CHUNK = 1 << 20;

/**
 * Writes a model, tensor by tensor.
 * @param file The GGUF file
 * @param model Weights, new values, folder of config and tokenizer, type
 * @throws {PacacError} `family-unknown`, `config-invalid`, `tokenizer-invalid`, `weights-mismatch`, `io`
 */
export function writeGgufModel(file: string, model: GgufModel): void {
  const config = readConfig(join(model.sourceFolder, "config.json"));
  const { interleaved } = architectureOf(config);
  if (config.layers > model.weights.size) {
    const state = `the config has ${config.layers} layers, there are ${model.weights.size} tensors`;
    throw mismatch(state, { field: "num_hidden_layers" });
  }
  const wanted = modelTensors(config);
  checkNames(model.weights, { config, wanted });
  const tensors = wanted.map((tensor) => {
    const stored = storedTensor(tensor, model.weights);
    const headDim = interleaved && tensor.heads !== undefined ? config.headDim : undefined;
    return exported(tensor, { stored, model, headDim });
  });
  const name = model.name ?? model.sourceFolder.match(/([^/]+)\/*$/)?.[1] ?? "model";
  const metadata = modelMetadata(config, { name, dtype: model.dtype });
  for (const [key, value] of vocabularyMetadata(model.sourceFolder, config)) {
    metadata.set(key, value);
  }
  metadata.set("general.description", text("Written by pacac"));
  writeGguf(file, { metadata, tensors: [...factorTensor(config), ...tensors] });
}

function checkNames(
  weights: ReadonlyMap<string, TensorInfo>,
  { config, wanted }: { readonly config: LlamaConfig; readonly wanted: readonly ModelTensor[] },
): void {
  const known = new Set(wanted.map(({ name }) => name));
  // A tied head may be stored again; frequencies follow from the config.
  if (config.tieWordEmbeddings) known.add("lm_head.weight");
  for (const [name, { file }] of weights) {
    if (known.has(name) || name.endsWith(".rotary_emb.inv_freq")) continue;
    throw mismatch("the model of this config has no such tensor", { file, field: name });
  }
}

function storedTensor(
  { name, shape }: ModelTensor,
  weights: ReadonlyMap<string, TensorInfo>,
): TensorInfo {
  const stored = weights.get(name);
  if (stored === undefined) throw mismatch("the tensor is missing", { field: name });
  const place = { file: stored.file, field: name };
  if (!isFloat(stored.dtype)) throw mismatch(`its dtype is ${stored.dtype}`, place);
  if (stored.shape.length === shape.length && stored.shape.every((n, i) => n === shape[i])) {
    return stored;
  }
  const state = `its shape is [${stored.shape.join(", ")}], the config says [${shape.join(", ")}]`;
  throw mismatch(state, place);
}

function mismatch(
  state: string,
  place: { readonly file?: string; readonly field: string },
): PacacError {
  return new PacacError("weights-mismatch", `Cannot write tensor: ${state}`, {
    place,
    remedy: "use weights and config.json of the same model",
  });
}

interface Source {
  readonly stored: TensorInfo;
  readonly model: GgufModel;
  /** Rows a head where they must be reordered. */
  readonly headDim: number | undefined;
}

function exported(tensor: ModelTensor, source: Source): GgufTensorToWrite {
  const { name, shape } = tensor;
  const dtype = dtypeOf(tensor, source.model.dtype);
  const short = ggufName(name);
  if (short === undefined) throw mismatch("GGUF has no name for the tensor", { field: name });
  return { name: short, shape, dtype, bytes: () => encoded(tensor, dtype, source) };
}

function dtypeOf({ name, shape }: ModelTensor, chosen: WrittenDtype): WrittenDtype {
  if (shape.length < 2) return "F32";
  const outside = !name.startsWith("model.layers.");
  const dtype = chosen === "Q4_0" && outside ? "Q8_0" : chosen;
  return (shape.at(-1) ?? 1) % GGUF_DTYPES[dtype].elements === 0 ? dtype : "F16";
}

function* encoded(
  { name, shape }: ModelTensor,
  dtype: WrittenDtype,
  { stored, model, headDim }: Source,
): Generator<Uint8Array> {
  const rowLength = shape.length < 2 ? 1 : shape.at(-1) ?? 1;
  const size = rowsAtOnce(rowLength, headDim ?? 1) * rowLength;
  const total = shape.reduce((product, n) => product * n, 1);
  const fresh = model.merged?.(name);
  for (let at = 0; at < total; at += size) {
    const end = Math.min(at + size, total);
    const values = fresh?.subarray(at, end) ?? readPart(stored, at, end);
    const ordered = headDim === undefined
      ? values
      : reorderRows(values, { headDim, rowLength, to: "interleaved" });
    yield quantise(ordered, dtype, { name });
  }
}

// Whole blocks of 32 rows too, so that vectors are cut at blocks.
function rowsAtOnce(rowLength: number, headDim: number): number {
  return headDim * Math.max(1, Math.ceil(CHUNK / (rowLength * headDim)));
}

function readPart(stored: TensorInfo, begin: number, end: number): Float32Array {
  const { dtype, byteLength, shape } = stored;
  if (!isFloat(dtype)) throw mismatch(`its dtype is ${dtype}`, { field: stored.name });
  const each = byteLength / shape.reduce((product, n) => product * n, 1);
  return toFloat32(readBytes(stored, { begin: begin * each, end: end * each }), dtype);
}

// llama 3 stretches each frequency by a factor of its own; llama.cpp takes the factors as a tensor.
function factorTensor({ ropeScaling, headDim, ropeTheta }: LlamaConfig): GgufTensorToWrite[] {
  if (ropeScaling.type !== "llama3") return [];
  const factors = ropeFactors(ropeScaling, { headDim, ropeTheta });
  const bytes = () => [quantise(factors, "F32", { name: ROPE_FACTORS })];
  return [{ name: ROPE_FACTORS, shape: [factors.length], dtype: "F32", bytes }];
}
