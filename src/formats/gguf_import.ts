/**
 * A GGUF file as the base model: config, weights under Hugging Face's names, tokenizer; and as a folder of those.
 *
 * Programs read safetensors, so a GGUF file is unpacked once into a folder. Quantised weights become bf16 or f32: fine-
 * tuning starts from the values that the quantised model computes with.
 * @module
 */
import { makeFolder, publishText } from "./atomic.ts";
import { fromFloat32 } from "./dtype.ts";
import { join, readAt, withFile } from "./files.ts";
import { dequantise } from "./gguf_blocks.ts";
import { configJson, ROPE_FACTORS } from "./gguf_config.ts";
import { ggufInvalid } from "./gguf_cursor.ts";
import { type GgufFile, type GgufTensor, openGgufFile } from "./gguf_header.ts";
import { architectureOf, ggufName, modelTensors, reorderRows } from "./gguf_names.ts";
import { type TokenizerFiles, tokenizerFiles } from "./gguf_tokenizer.ts";
import { GGUF_DTYPES } from "./gguf_types.ts";
import { type LlamaConfig, parseConfig } from "./hf_config.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors_writer.ts";

/** A tensor of a GGUF model under Hugging Face's name. */
export interface GgufWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** As stored; `read` gives float32. */
  readonly dtype: GgufTensor["dtype"];
  /** Its values part by part, in Hugging Face's order of rows. */
  readonly read: () => Generator<Float32Array>;
}

/** A model in a GGUF file. */
export interface GgufBase {
  readonly config: LlamaConfig;
  /** Content of config.json. */
  readonly configJson: Record<string, unknown>;
  readonly weights: ReadonlyMap<string, GgufWeight>;
  /** Reads the tokenizer; a file whose tokenizer is not known still has weights. */
  readonly tokenizer: () => TokenizerFiles;
}

/** Elements decoded at once, at least. */
const CHUNK = 1 << 20;

/**
 * Opens a file as model; no weight is read.
 * @param path The file
 * @throws {PacacError} `gguf-invalid`, `config-invalid`, `io`
 */
export function openGguf(path: string): GgufBase {
  const file = openGgufFile(path);
  const factors = file.tensors.get(ROPE_FACTORS);
  const json = configJson(file, factors === undefined ? undefined : wholeTensor(factors));
  const config = parseConfig(json, { file: path });
  const { interleaved } = architectureOf(config);
  const weights = new Map<string, GgufWeight>();
  for (const { name, shape, heads } of modelTensors(config)) {
    const tensor = tensorFor(file, { name, shape });
    const headDim = interleaved && heads !== undefined ? config.headDim : undefined;
    const { dtype } = tensor;
    weights.set(name, { name, shape, dtype, read: () => values(tensor, headDim) });
  }
  checkRest(file, weights);
  return { config, configJson: json, weights, tokenizer: () => tokenizerFiles(file) };
}

function tensorFor(
  file: GgufFile,
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
): GgufTensor {
  const short = ggufName(name) ?? name;
  const tensor = file.tensors.get(short);
  const place = { file: file.path, field: short };
  if (tensor === undefined) throw ggufInvalid("Cannot use model: the tensor is missing", place);
  const same = tensor.shape.length === shape.length && shape.every((n, i) => n === tensor.shape[i]);
  if (same) return tensor;
  const state = `[${tensor.shape.join(", ")}], its metadata say [${shape.join(", ")}]`;
  throw ggufInvalid(`Cannot use model: the tensor's shape is ${state}`, place);
}

function checkRest(file: GgufFile, weights: ReadonlyMap<string, GgufWeight>): void {
  const known = new Set([...weights.keys()].map((name) => ggufName(name)));
  for (const name of file.tensors.keys()) {
    if (known.has(name) || name === ROPE_FACTORS) continue;
    const place = { file: file.path, field: name };
    const way = "the model has parts that pacac does not build: choose another";
    throw ggufInvalid("Cannot use model: the tensor is not known", place, way);
  }
}

function wholeTensor(tensor: GgufTensor): Float32Array {
  return dequantise(readStored(tensor, { begin: 0, end: tensor.byteLength }), tensor.dtype);
}

function readStored(
  tensor: GgufTensor,
  { begin, end }: { readonly begin: number; readonly end: number },
): Uint8Array<ArrayBuffer> {
  return withFile(tensor.file, () => {
    using file = Deno.openSync(tensor.file);
    const bytes = new Uint8Array(end - begin);
    if (readAt(file, bytes, { offset: tensor.byteOffset + begin }) === bytes.length) return bytes;
    const place = { file: tensor.file, field: tensor.name };
    throw ggufInvalid("Cannot read tensor: the file became shorter", place);
  });
}

function* values(tensor: GgufTensor, headDim: number | undefined): Generator<Float32Array> {
  const { shape, dtype } = tensor;
  const { elements, bytes } = GGUF_DTYPES[dtype];
  const rowLength = shape.length < 2 ? 1 : shape.at(-1) ?? 1;
  // Whole rows, heads where these are reordered, and blocks: a vector of a block type has its blocks along the rows.
  const unit = Math.max(rowLength * (headDim ?? 1), elements);
  const size = unit * Math.ceil(CHUNK / unit);
  const total = tensor.byteLength / bytes * elements;
  for (let at = 0; at < total; at += size) {
    const range = {
      begin: at / elements * bytes,
      end: Math.min(at + size, total) / elements * bytes,
    };
    const part = dequantise(readStored(tensor, range), dtype);
    yield headDim === undefined ? part : reorderRows(part, { headDim, rowLength, to: "halves" });
  }
}

/**
 * Unpacks a file into a model folder: config.json, model.safetensors, tokenizer files. The config comes last: a folder
 * that was cut off in the middle has none.
 * @param path The file
 * @param folder The folder; made if needed
 * @param options Element type of all tensors, bf16 by default
 * @throws {PacacError} `gguf-invalid`, `config-invalid`, `io`
 */
export function unpackGguf(
  path: string,
  folder: string,
  options: { readonly dtype?: "bf16" | "f32" } = {},
): void {
  const { weights, configJson: config, tokenizer } = openGguf(path);
  const files = tokenizer();
  const dtype = options.dtype === "f32" ? "F32" : "BF16";
  const tensors = [...weights.values()].map(({ name, shape, read }): TensorToWrite => ({
    name,
    shape,
    dtype,
    *bytes() {
      for (const part of read()) yield fromFloat32(part, dtype);
    },
  }));
  makeFolder(folder);
  writeSafetensors(join(folder, "model.safetensors"), tensors, { metadata: { format: "pt" } });
  publishJson(join(folder, "tokenizer.json"), files.tokenizer);
  publishJson(join(folder, "tokenizer_config.json"), files.settings);
  if (files.chatTemplate !== undefined) {
    publishText(join(folder, "chat_template.jinja"), files.chatTemplate);
  }
  const stored = dtype === "BF16" ? "bfloat16" : "float32";
  publishJson(join(folder, "config.json"), { ...config, torch_dtype: stored });
}

function publishJson(file: string, value: unknown): void {
  publishText(file, `${JSON.stringify(value, null, 2)}\n`);
}
