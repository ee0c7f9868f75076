/**
 * Finding a model's files: a folder the user names, a local folder, or the Hugging Face cache.
 *
 * Nothing is downloaded. Where files are missing, the error says which ones go where.
 * @module
 */
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { fileSize, isFolder, join, readJson } from "./files.ts";
import { cachedSnapshot, type Environment, hubId, processEnvironment } from "./hub_cache.ts";
import { openSafetensors } from "./safetensors.ts";
import { invalid, type TensorInfo } from "./safetensors_header.ts";

/** Where a model's files are. */
export interface ModelFolder {
  /** Folder with config and tokenizer. */
  readonly folder: string;
  /** Path of config.json; not there where only weights were needed. */
  readonly configPath: string;
  /** Safetensors files; empty where only the config was needed and there are none. */
  readonly weightFiles: readonly string[];
  /** Path of model.safetensors.index.json where the weights are in several files. */
  readonly indexPath: string | undefined;
}

/** Settings of {@linkcode resolveModel}. */
export interface ResolveOptions {
  /** Folder or safetensors file that comes before all others (`--weights`). */
  readonly weights?: string | undefined;
  /** What must be there; "all" by default. */
  readonly need?: "config" | "weights" | "all";
  /** Folder that relative sources start from; the current one by default. */
  readonly base?: string;
  /** Environment variables; those of the process by default. */
  readonly env?: Environment;
}

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/**
 * Finds a model's files.
 * @param source Hub id (`org/name`) or folder
 * @param options `--weights`, what is needed
 * @throws {PacacError} `model-not-found` with the files that are missing
 */
export function resolveModel(source: string, options: ResolveOptions = {}): ModelFolder {
  const { need = "all", weights } = options;
  const found = weights === undefined ? undefined : fromWeights(weights);
  const folder = found?.hasConfig === true || need === "weights" && found !== undefined
    ? found.folder
    : findFolder(source, options) ?? found?.folder;
  if (folder === undefined) throw notFound(source, `there is neither a folder nor a cached model`);
  const files = found?.files ?? filesIn(folder);
  const configPath = join(folder, "config.json");
  if (need !== "weights" && fileSize(configPath) === undefined) {
    throw notFound(source, `there is no config.json in ${folder}`);
  }
  if (need !== "config" && files.weightFiles.length === 0) {
    throw notFound(source, `there is neither ${SINGLE} nor ${INDEX} in ${folder}`);
  }
  return { folder, configPath, ...files };
}

type Files = Pick<ModelFolder, "weightFiles" | "indexPath">;

interface Override {
  readonly folder: string;
  readonly files: Files;
  readonly hasConfig: boolean;
}

function fromWeights(weights: string): Override {
  const isFile = fileSize(weights) !== undefined;
  if (isFile && weights.endsWith(".gguf")) {
    throw new PacacError(
      "model-not-found",
      "Cannot use --weights: a GGUF file is no model folder",
      {
        place: { file: weights },
        remedy: `run \`deno task unpack ${weights} --out DIR\` and pass --weights DIR`,
      },
    );
  }
  if (!isFile && !isFolder(weights)) {
    throw new PacacError("model-not-found", `Cannot use --weights: there is no ${weights}`, {
      place: { file: weights },
      remedy: `name a folder with ${SINGLE} or a safetensors file`,
    });
  }
  const slash = weights.lastIndexOf("/");
  const parent = slash < 0 ? "." : weights.slice(0, slash + 1);
  const folder = isFile ? parent : weights;
  const files = isFile ? { weightFiles: [weights], indexPath: undefined } : filesIn(folder);
  return { folder, files, hasConfig: fileSize(join(folder, "config.json")) !== undefined };
}

function findFolder(source: string, options: ResolveOptions): string | undefined {
  const { base = ".", env = processEnvironment } = options;
  const local = source.startsWith("/") || base === "." ? source : join(base, source);
  if (isFolder(local)) return local;
  const id = hubId(source);
  return id === undefined ? undefined : cachedSnapshot(id, env);
}

function notFound(source: string, state: string): PacacError {
  const fetch = hubId(source) === undefined
    ? ""
    : `run \`deno task download ${source}\` where there is a network, or `;
  return new PacacError("model-not-found", `Cannot find model ${source}: ${state}`, {
    remedy: `${fetch}put config.json, tokenizer.json, tokenizer_config.json and ${SINGLE} (or ` +
      `${INDEX} with the files it names) into a folder DIR and pass --weights DIR`,
  });
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

function readIndex(indexPath: string): ReadonlyMap<string, string> {
  const parsed = indexSchema.safeParse(readJson(indexPath, { code: "safetensors-invalid" }));
  if (!parsed.success) {
    throw invalid("Cannot read index: weight_map must be an object of file names", {
      file: indexPath,
      field: "weight_map",
    });
  }
  const map = new Map(Object.entries(parsed.data.weight_map));
  for (const [tensor, name] of map) {
    if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors$/.test(name)) continue;
    const message = `Cannot read index: ${JSON.stringify(name)} is no name of a safetensors file`;
    throw invalid(message, { file: indexPath, field: tensor });
  }
  return map;
}

function filesIn(folder: string): Files {
  const single = join(folder, SINGLE);
  if (fileSize(single) !== undefined) return { weightFiles: [single], indexPath: undefined };
  const indexPath = join(folder, INDEX);
  if (fileSize(indexPath) === undefined) return { weightFiles: [], indexPath: undefined };
  const weightFiles = [...new Set(readIndex(indexPath).values())].sort()
    .map((name) => join(folder, name));
  const missing = weightFiles.filter((file) => fileSize(file) === undefined);
  if (missing.length > 0) {
    throw new PacacError("model-not-found", `Cannot find weights: ${missing.join(", ")} missing`, {
      place: { file: indexPath },
      remedy: "get the files that the index names, all of the same version",
    });
  }
  return { weightFiles, indexPath };
}

/**
 * All tensors of a model over all its files; only headers are read.
 * @param model The model's files, or a folder with weights
 * @throws {PacacError} `safetensors-invalid` where files are damaged, or disagree with each other or the index
 */
export function openWeights(model: ModelFolder | string): ReadonlyMap<string, TensorInfo> {
  const { weightFiles, indexPath } = typeof model === "string"
    ? resolveModel(model, { need: "weights", weights: model })
    : model;
  const weights = new Map<string, TensorInfo>();
  for (const file of weightFiles) {
    for (const [name, tensor] of openSafetensors(file).tensors) {
      const other = weights.get(name);
      if (other !== undefined) {
        throw invalid(`Cannot read weights: the tensor is also in ${other.file}`, {
          file,
          field: name,
        });
      }
      weights.set(name, tensor);
    }
  }
  if (indexPath !== undefined) checkIndex(indexPath, weights);
  return weights;
}

function checkIndex(indexPath: string, weights: ReadonlyMap<string, TensorInfo>): void {
  const index = readIndex(indexPath);
  for (const [name, file] of index) {
    if (weights.get(name)?.file.endsWith(`/${file}`) === true) continue;
    throw invalid(`Cannot read weights: ${file} does not hold the tensor`, {
      file: indexPath,
      field: name,
    });
  }
  for (const [name, tensor] of weights) {
    if (index.has(name)) continue;
    throw invalid("Cannot read weights: the index does not name the tensor", {
      file: tensor.file,
      field: name,
    });
  }
}
