/**
 * The Hugging Face cache's layout: models--org--name/refs/main names a commit, snapshots/COMMIT holds its files.
 * @module
 */
import { fileSize, isFolder, join, withFile } from "./files.ts";

/** Reads an environment variable. */
export type Environment = (name: string) => string | undefined;

/**
 * The environment of this process.
 * @param name A variable
 */
export function processEnvironment(name: string): string | undefined {
  return Deno.env.get(name);
}

/**
 * A source as hub id, or undefined where it cannot be one (so that it never leaves the cache folder).
 * @param source What the user wrote
 */
export function hubId(source: string): string | undefined {
  const part = "[A-Za-z0-9_][A-Za-z0-9._-]*";
  const isId = new RegExp(`^${part}(/${part})?$`).test(source) && !/\.\.|--/.test(source);
  return isId ? source : undefined;
}

/**
 * The cache folder: HF_HUB_CACHE, else below HF_HOME, else below XDG_CACHE_HOME, else below ~/.cache.
 * @param env Environment variables
 */
export function cacheFolder(env: Environment): string {
  const set = (name: string): string | undefined => {
    const value = env(name);
    return value === undefined || value === "" ? undefined : expandHome(value, env);
  };
  const direct = set("HF_HUB_CACHE");
  if (direct !== undefined) return direct;
  const home = set("HF_HOME");
  if (home !== undefined) return join(home, "hub");
  return join(set("XDG_CACHE_HOME") ?? expandHome("~/.cache", env), "huggingface/hub");
}

function expandHome(path: string, env: Environment): string {
  return path === "~" || path.startsWith("~/") ? (env("HOME") ?? ".") + path.slice(1) : path;
}

/** What a repository of the hub holds. */
export type HubKind = "model" | "dataset";

/** Which version of what is meant. */
export interface SnapshotOptions {
  /** Branch, tag or commit, as a download was asked for; main by default. */
  readonly revision?: string;
  /** A model by default. */
  readonly kind?: HubKind;
}

/**
 * The folder of a model or data set in the cache, whether or not it is there.
 * @param id Hub id
 * @param env Environment variables
 * @param kind What it holds
 */
export function repositoryFolder(id: string, env: Environment, kind: HubKind = "model"): string {
  return join(cacheFolder(env), `${kind}s--${id.replace("/", "--")}`);
}

/**
 * The folder of a cached version, or undefined.
 * @param id Hub id
 * @param env Environment variables
 * @param options Version, and whether it is a model's
 */
export function cachedSnapshot(
  id: string,
  env: Environment,
  { revision = "main", kind = "model" }: SnapshotOptions = {},
): string | undefined {
  const folder = repositoryFolder(id, env, kind);
  const ref = join(folder, `refs/${revision}`);
  const size = fileSize(ref);
  if (size === undefined ? !/^[0-9a-f]{40}$/.test(revision) : size > 256) return undefined;
  const commit = size === undefined
    ? revision
    : withFile(ref, () => Deno.readTextFileSync(ref)).trim();
  if (!/^[0-9a-f]{1,64}$/.test(commit)) return undefined;
  const snapshot = join(folder, `snapshots/${commit}`);
  return isFolder(snapshot) ? snapshot : undefined;
}
