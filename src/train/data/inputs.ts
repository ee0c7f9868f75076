/**
 * What data is given: files and folders with weights, and maps of fields.
 * @module
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PacacError } from "../../errors.ts";
import { processEnvironment } from "../../formats/hub_cache.ts";
import { cachedDataset, parseDatasetName } from "../../formats/hub_dataset.ts";
import { messageOf } from "../json.ts";

/** A file or folder of data, or files of a data set. */
export interface DataInput {
  /** Its path; a data set's name with the commit that its files are of. */
  readonly path: string;
  /** The files, where they are not the path's. */
  readonly files?: readonly string[];
  /** Its share of an epoch's rows, in proportion to the other inputs'. */
  readonly weight?: number;
}

/** path:weight */
const WEIGHTED = /^(.+):(\d*\.?\d+(?:e-?\d+)?)$/i;

const DATA_NAME = /\.(?:jsonl?|ndjson|csv|tsv|parquet|txt|text)(?:\.(?:gz|zst))?$/i;

/**
 * An input as it is written on a command line: a path, or path:weight; a data set of the hub that is in the cache as
 * hf:owner/name:split.
 * @param text As typed
 * @param resolve Gives a path as typed its full form
 * @throws {PacacError} usage, where the weight is none; io and data-invalid, where a data set is not there or does not fit
 */
export async function parseInput(
  text: string,
  resolve: (path: string) => string,
): Promise<DataInput> {
  const weighted = WEIGHTED.exec(text);
  const isHub = text.startsWith("hf:");
  const inputOf = (name: string) => isHub ? datasetInput(name) : { path: resolve(name) };
  // A name may end in a colon and figures.
  if (weighted === null || (!isHub && await exists(resolve(text)))) return inputOf(text);
  const weight = Number(weighted[2]);
  if (weight > 0 && weight < Infinity) return { ...inputOf(weighted[1]), weight };
  throw new PacacError("usage", `Cannot use the weight ${weighted[2]}: it is not above 0`, {
    remedy: "write FILE:WEIGHT with a number above 0, or leave the input out",
  });
}

/**
 * A data set's input as it is written on a command line, with the commit that its name stands for now.
 * @param text `hf:owner/name:split`, a weight may follow
 * @throws {PacacError} usage, io, data-invalid
 */
export function pinnedInput(text: string): string {
  const [, name, weight = ""] = WEIGHTED.exec(text) ?? [undefined, text];
  return `${datasetInput(name).path}${weight === "" ? "" : `:${weight}`}`;
}

function datasetInput(name: string): DataInput {
  const { files, pinned } = cachedDataset(parseDatasetName(name), processEnvironment);
  return { path: pinned, files };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}

/**
 * The files of an input: itself, or those below a folder whose names end as data's do, in order of their names. Beside files of
 * test or validation questions, MMLU's `dev` folder holds the examples of their prompts and is no data of its own.
 * @param path A file or a folder
 * @throws {PacacError} io; data-invalid, where a folder has none
 */
export async function listFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
  } catch (cause) {
    throw new PacacError("io", `Cannot read the data: ${messageOf(cause)}`, {
      place: { file: path },
      remedy: "check the path",
      cause,
    });
  }
  const files = (await filesBelow(path)).sort((a, b) => a < b ? -1 : 1);
  const isExample = (file: string) => /[\\/]dev[\\/][^\\/]+_dev\.csv$/.test(file);
  const questions = files.some((file) => /_(?:test|val)\.csv$/.test(file));
  const kept = questions ? files.filter((file) => !isExample(file)) : files;
  if (kept.length > 0) return kept;
  throw new PacacError("data-invalid", "Cannot use the folder: it has no data files", {
    place: { file: path },
    remedy: "names must end in .jsonl, .json, .csv, .tsv, .parquet or .txt; .gz or .zst may follow",
  });
}

/** Links to files are followed, links to folders are not: they may lead back. */
async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) found.push(...await filesBelow(path));
    else if (DATA_NAME.test(entry.name) && (await stat(path)).isFile()) found.push(path);
  }
  return found;
}

/**
 * A map of fields as it is written on a command line: `question=instruction,answer=output`.
 * @param text As typed
 * @param known Names of fields that formats know
 * @throws {PacacError} usage
 */
export function parseMap(text: string, known: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const pair of text.split(",")) {
    const [from, to, ...more] = pair.split("=").map((name) => name.trim());
    if (from === "" || to === undefined || to === "" || more.length > 0) {
      throw new PacacError("usage", `Cannot read the map: "${pair}" is not FIELD=NAME`, {
        remedy: "write question=instruction,answer=output: the file's field, then the format's",
      });
    }
    if (!known.includes(to)) {
      throw new PacacError("usage", `Cannot map to "${to}": no format has such a field`, {
        remedy: `the fields of formats are ${known.join(", ")}`,
      });
    }
    map.set(from, to);
  }
  return map;
}
