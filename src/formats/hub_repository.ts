/**
 * A repository of the hub at one commit: which files it has, by name, size and hash, and where it lies in the cache.
 * @module
 */
import { z } from "zod";
import { join } from "./files.ts";
import { hubEndpoint, hubFailed, hubJson, type HubOptions } from "./hub_api.ts";
import { type HubKind, repositoryFolder } from "./hub_cache.ts";

/** How far a download is. */
export interface DownloadProgress {
  readonly file: string;
  /** Bytes of the file that are there, and of all. */
  readonly bytes: number;
  readonly size: number;
  /** Files that are done before this one, and of all. */
  readonly done: number;
  readonly files: number;
}

/** Settings of {@linkcode downloadModel}. */
export interface DownloadOptions extends HubOptions {
  /** Branch, tag or commit; main by default. */
  readonly revision?: string;
  /** Which files; config, tokenizer and safetensors by default. */
  readonly wanted?: (name: string) => boolean;
  /** Called with every part that arrives. */
  readonly progress?: (state: DownloadProgress) => void;
}

const commit = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().min(0);
const listing = z.object({
  sha: commit,
  siblings: z.array(z.object({
    rfilename: z.string(),
    size: size.nullish(),
    blobId: commit.nullish(),
    lfs: z.object({ sha256, size }).nullish(),
  })).max(100_000),
});

/** A file of a repository. */
export interface RemoteFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the bytes for large files, git's SHA-1 of a blob for others; the blob's name. */
  readonly hash: string;
}

/** A repository at a commit, as the hub lists it, and its place in the cache. */
export interface Repository {
  readonly id: string;
  readonly kind: HubKind;
  readonly revision: string;
  readonly sha: string;
  readonly siblings: z.infer<typeof listing>["siblings"];
  readonly folder: string;
  readonly snapshot: string;
  readonly options: DownloadOptions;
}

/**
 * Asks the hub for a repository's files. Every name is checked, also of files that are not wanted: a hub that sends one that
 * leads elsewhere is not to be trusted.
 * @param id Hub id
 * @param options Environment, revision, whether it is a model
 * @throws {PacacError} `hub-failed`
 */
export async function listRepository(
  id: string,
  options: DownloadOptions & { readonly revision: string; readonly kind: HubKind },
): Promise<Repository> {
  const { env, revision, kind } = options;
  const at = encodeURIComponent(revision);
  const place = `${hubEndpoint(env)}/api/${kind}s/${id}/revision/${at}`;
  const { sha, siblings } = await hubJson(`${place}?blobs=true`, {
    purpose: `list the files of ${id} at ${revision}`,
  }, { ...options, schema: listing });
  for (const { rfilename } of siblings) checkName(rfilename, id);
  const folder = repositoryFolder(id, env, kind);
  const snapshot = join(folder, `snapshots/${sha}`);
  return { id, kind, revision, sha, siblings, folder, snapshot, options };
}

/**
 * The files of a list that are wanted; each must have a hash, and one there must be.
 * @param siblings The list
 * @param given The repository's id, and which files are wanted
 * @throws {PacacError} `hub-failed`
 */
export function wantedFiles(
  siblings: z.infer<typeof listing>["siblings"],
  { id, wanted }: { readonly id: string; readonly wanted: (name: string) => boolean },
): RemoteFile[] {
  const files = siblings.filter(({ rfilename }) => wanted(rfilename)).map((file) => {
    const hash = file.lfs?.sha256 ?? file.blobId;
    const bytes = file.lfs?.size ?? file.size;
    if (hash !== undefined && hash !== null && bytes !== undefined && bytes !== null) {
      return { name: file.rfilename, size: bytes, hash };
    }
    const message = `Cannot download ${id}: the hub gives no hash of ${file.rfilename}`;
    throw hubFailed(message, "what cannot be checked is not downloaded: check HF_ENDPOINT");
  });
  if (files.length > 0) return files;
  const remedy = `it has ${siblings.slice(0, 8).map(({ rfilename }) => rfilename).join(", ")}` +
    `${siblings.length > 8 ? ", …" : ""}`;
  throw hubFailed(`Cannot download ${id}: it has none of the files`, remedy);
}

function checkName(name: string, id: string): void {
  const parts = name.split("/");
  const safe = name.length <= 1024 && parts.length <= 16 &&
    parts.every((part) =>
      part !== "" && part !== "." && part !== ".." && part.length <= 240 &&
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      !/[\u0000-\u001f\u007f\\:]/.test(part)
    );
  if (safe) return;
  const message = `Cannot download ${id}: it has a file named ${JSON.stringify(name)}`;
  throw hubFailed(message, "such a name would leave its folder: do not use what this hub sends");
}
