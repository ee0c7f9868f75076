/**
 * Data sets of the hub: what a name means, and which files of a repository are its configuration and split, by the hub's own
 * conventions: the card's `configs` where it has them, else the names of files and folders.
 * @module
 */
import { PacacError } from "../errors.ts";
import { type DatasetConfig, datasetConfigs } from "./dataset_card.ts";
import { fileSize, join, withFile } from "./files.ts";
import { cachedSnapshot, type Environment, hubId, repositoryFolder } from "./hub_cache.ts";

/** A data set as it is named: `hf:owner/name@revision:config/split`. */
export interface DatasetName {
  readonly id: string;
  /** Branch, tag or commit. */
  readonly revision?: string;
  /** The default one, or the only one, where it is not said. */
  readonly config?: string;
  /** `train`, or the only one, where it is not said. */
  readonly split?: string;
}

/** What there is to choose from. */
interface Choice {
  /** Paths of the repository's files. */
  readonly names: readonly string[];
  /** Folder that its card lies in, where it has one. */
  readonly snapshot: string;
}

const DATA_NAME = /\.(?:jsonl?|ndjson|csv|tsv|parquet|txt|text)(?:\.(?:gz|zst))?$/i;

/** Words in names of files and folders that show a split, as the hub has them. */
const SPLIT_WORDS: readonly (readonly [string, RegExp])[] = [
  ["train", /(?:^|[^a-z0-9])train(?:ing)?(?![a-z])/i],
  ["validation", /(?:^|[^a-z0-9])(?:validation|valid|dev|val)(?![a-z])/i],
  ["test", /(?:^|[^a-z0-9])(?:test(?:ing)?|eval(?:uation)?)(?![a-z])/i],
];

/** A data set's card. */
export const CARD_FILE = "README.md";
const MAX_CARD_BYTES = 1 << 24;
const MAX_FILES = 100_000;

/**
 * Reads a data set's name.
 * @param text `hf:owner/name`, with `@revision`, `:split` or `:config/split` behind it; `hf:` may be left out
 * @throws {PacacError} usage
 */
export function parseDatasetName(text: string): DatasetName {
  const bare = text.replace(/^hf:/, "");
  const found = /^([^@:]+)(?:@([^:]+))?(?::(?:([^/:]+)\/)?([^/:]*))?$/.exec(bare);
  const [, id, revision, config, split] = found ?? [];
  const isRevision = revision === undefined ||
    /^[A-Za-z0-9_][\w.-]*(?:\/[A-Za-z0-9_][\w.-]*)*$/.test(revision);
  if (id === undefined || hubId(id) === undefined || !isRevision) {
    throw new PacacError("usage", `Cannot use the data set "${text}": that is no name of one`, {
      remedy: "write hf:owner/name, hf:owner/name:split or hf:owner/name:config/split",
    });
  }
  return {
    id,
    ...(revision === undefined ? {} : { revision }),
    ...(config === undefined ? {} : { config }),
    ...(split === undefined || split === "" ? {} : { split }),
  };
}

/**
 * The files of a data set in the cache, in order of their names.
 * @param name Its name
 * @param env Environment variables
 * @returns The files, and the name with the commit that they are of
 * @throws {PacacError} io, where it is not there or not whole; data-invalid, where its files do not fit the name
 */
export function cachedDataset(
  name: DatasetName,
  env: Environment,
): { readonly files: string[]; readonly pinned: string } {
  const { id, revision } = name;
  const options = { kind: "dataset", ...(revision === undefined ? {} : { revision }) } as const;
  const snapshot = cachedSnapshot(id, env, options);
  if (snapshot === undefined) {
    const at = revision === undefined ? "" : ` at ${revision}`;
    throw new PacacError("io", `Cannot find the data set ${id}${at}: the cache does not hold it`, {
      place: { file: repositoryFolder(id, env, "dataset") },
      remedy: `fetch it where there is a network: deno task download --dataset ${textOf(name)}`,
    });
  }
  const chosen = chooseDataFiles({ names: filesBelow(snapshot, ""), snapshot }, name);
  requireShards(chosen, name, snapshot);
  const pinned = textOf({ ...name, revision: snapshot.slice(snapshot.lastIndexOf("/") + 1) });
  return { files: chosen.map((file) => join(snapshot, file)), pinned: `hf:${pinned}` };
}

function textOf({ id, revision, config, split }: DatasetName): string {
  const at = revision === undefined ? "" : `@${revision}`;
  const part = `${config === undefined ? "" : `${config}/`}${split ?? ""}`;
  return `${id}${at}${part === "" ? "" : `:${part}`}`;
}

/** Paths below a snapshot; its files are links into the cache's blobs. */
function filesBelow(root: string, folder: string): string[] {
  const path = folder === "" ? root : join(root, folder);
  const names: string[] = [];
  for (const { name, isDirectory } of withFile(path, () => [...Deno.readDirSync(path)])) {
    const inner = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory) names.push(...filesBelow(root, inner));
    else if (fileSize(join(root, inner)) !== undefined) names.push(inner);
    if (names.length > MAX_FILES) break;
  }
  return names;
}

/**
 * Which files of a repository belong to what is named, in order of their names.
 * @param given The repository's files, and its card
 * @param name Configuration and split
 * @throws {PacacError} data-invalid, which lists what there is
 */
export function chooseDataFiles(given: Choice, name: DatasetName): string[] {
  const configs = configsIn(given.snapshot);
  const data = given.names.filter((file) => DATA_NAME.test(file)).sort((a, b) => a < b ? -1 : 1);
  const splits = configs.length > 0
    ? splitsOf(configOf(configs, name), data)
    : splitsByName(underConfig(data, name), "train");
  const present = new Map([...splits].filter(([, files]) => files.length > 0));
  const { split = present.size === 1 ? [...present.keys()][0] : "train" } = name;
  const files = present.get(split);
  if (files !== undefined) return files;
  const state = present.size === 0 ? "it has no data files that are read" : `no split is ${split}`;
  const remedy = present.size === 0
    ? "look for its Parquet form: --revision refs/convert/parquet"
    : `its splits are ${[...present.keys()].join(", ")}: write hf:${name.id}:SPLIT`;
  throw unfit(name, state, remedy);
}

function configsIn(snapshot: string): DatasetConfig[] {
  const file = join(snapshot, CARD_FILE);
  const size = fileSize(file);
  if (size === undefined || size > MAX_CARD_BYTES) return [];
  return datasetConfigs(withFile(file, () => Deno.readTextFileSync(file)), file);
}

function unfit({ id }: DatasetName, state: string, remedy: string): PacacError {
  return new PacacError("data-invalid", `Cannot use the data set ${id}: ${state}`, { remedy });
}

function configOf(configs: readonly DatasetConfig[], name: DatasetName): DatasetConfig {
  const found = name.config === undefined
    ? configs.find(({ isDefault }) => isDefault) ?? (configs.length === 1 ? configs[0] : undefined)
    : configs.find((config) => config.name === name.config);
  if (found !== undefined) return found;
  const state = name.config === undefined
    ? "it has several configurations"
    : `no configuration is ${name.config}`;
  const names = configs.slice(0, 20).map((config) => config.name).join(", ");
  const more = configs.length > 20 ? ", …" : "";
  throw unfit(name, state, `write hf:${name.id}:CONFIG/SPLIT; they are ${names}${more}`);
}

function splitsOf({ splits }: DatasetConfig, data: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [split, patterns] of splits) {
    const tests = patterns.map(globOf);
    const files = data.filter((file) => tests.some((test) => test.test(file)));
    // A configuration that names a folder alone has its splits in the names below it.
    if (split !== "") found.set(split, files);
    else splitsByName(files, "train").forEach((some, name) => found.set(name, some));
  }
  return found;
}

/** Without a card, a configuration is a folder. */
function underConfig(data: readonly string[], name: DatasetName): readonly string[] {
  const { config } = name;
  if (config === undefined) return data;
  const under = data.filter((file) => file.startsWith(`${config}/`));
  if (under.length > 0) return under;
  throw unfit(name, `no configuration is ${config}`, "leave it out: write hf:owner/name:SPLIT");
}

function splitsByName(data: readonly string[], otherwise: string): Map<string, string[]> {
  const splits = new Map<string, string[]>();
  for (const file of data) {
    const split = SPLIT_WORDS.find(([, words]) => words.test(file))?.[0];
    if (split !== undefined) splits.set(split, [...splits.get(split) ?? [], file]);
  }
  return splits.size > 0 || data.length === 0 ? splits : new Map([[otherwise, [...data]]]);
}

/** A pattern of paths: `*` within a name, `**` across folders, `?` one character. */
function globOf(pattern: string): RegExp {
  const text = pattern.replace(
    /\*\*\/?|[*?]|[^\w/]/g,
    (part) =>
      part === "**/"
        ? "(?:.*/)?"
        : part === "**"
        ? ".*"
        : part === "*"
        ? "[^/]*"
        : part === "?"
        ? "[^/]"
        : `\\${part}`,
  );
  return new RegExp(`^${text}$`);
}

/** A file that says it is one of five has four others. */
function requireShards(files: readonly string[], name: DatasetName, snapshot: string): void {
  const counts = new Map<string, { readonly of: number; found: number }>();
  for (const file of files) {
    const [, before, , of, after] = /^(.*)-(\d{5})-of-(\d{5})(.*)$/.exec(file) ?? [];
    if (of === undefined) continue;
    const key = `${before}*${after}`;
    const count = counts.get(key) ?? { of: Number(of), found: 0 };
    count.found++;
    counts.set(key, count);
  }
  for (const [pattern, { of, found }] of counts) {
    if (found === of) continue;
    const state = `${found} of the ${of} files ${pattern} are in the cache`;
    throw new PacacError("io", `Cannot use the data set ${name.id}: ${state}`, {
      place: { file: snapshot },
      remedy: `fetch the others: deno task download --dataset ${textOf(name)}`,
    });
  }
}
