/**
 * Downloading a model or a data set into the Hugging Face cache, in the layout that every tool of that kind shares.
 *
 * blobs/HASH holds a file's bytes, snapshots/COMMIT/NAME is a link to it, refs/REVISION names the commit and is written
 * last. A file grows as blobs/HASH.incomplete and is renamed once its size and hash are right, so that a blob that is
 * there is whole. A lock by the system on .locks/… keeps two downloads of a file apart and goes when its holder dies.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { PacacError } from "../errors.ts";
import { makeFolder, publishText, removeIfThere, writeAll } from "./atomic.ts";
import { fileSize, join, withFile } from "./files.ts";
import {
  bodyOf,
  hubEndpoint,
  hubFailed,
  hubFetch,
  type HubOptions,
  isOffline,
  pause,
  unreachable,
  withRetries,
} from "./hub_api.ts";
import { cachedSnapshot, hubId, type HubKind } from "./hub_cache.ts";
import { CARD_FILE, chooseDataFiles, type DatasetName } from "./hub_dataset.ts";
import {
  type DownloadOptions,
  listRepository,
  type RemoteFile,
  type Repository,
  wantedFiles,
} from "./hub_repository.ts";

const DEFAULT_FILES =
  /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json$|^(?:merges\.txt|tokenizer\.model|chat_template\.jinja)$|^model(?:-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;

/**
 * Downloads what is missing of a model.
 * @param id Hub id, `org/name`
 * @param options Environment, revision, files, progress
 * @returns The snapshot's folder
 * @throws {PacacError} `hub-failed`, `usage`, `io`; `model-not-found` offline
 */
export async function downloadModel(id: string, options: DownloadOptions): Promise<string> {
  const { env, revision = "main" } = options;
  checkAsked(id, revision);
  if (isOffline(env)) return offline(id, revision, { ...options, kind: "model" });
  const found = await listRepository(id, { ...options, revision, kind: "model" });
  await take(wantedFiles(found.siblings, { id, wanted: options.wanted ?? isDefault }), found);
  return publishRef(found);
}

/**
 * Downloads what is missing of a data set: its card, and the files of the configuration and split that are named.
 * @param name The data set
 * @param options Environment, progress; `wanted` for files of its own choice
 * @returns The snapshot's folder
 * @throws {PacacError} `hub-failed`, `usage`, `io`; `data-invalid` where nothing fits the name; `model-not-found` offline
 */
export async function downloadDataset(
  name: DatasetName,
  options: DownloadOptions,
): Promise<string> {
  const { id } = name, { env, wanted } = options;
  const revision = options.revision ?? name.revision ?? "main";
  checkAsked(id, revision);
  if (isOffline(env)) return offline(id, revision, { ...options, kind: "dataset" });
  const found = await listRepository(id, { ...options, revision, kind: "dataset" });
  const names = found.siblings.map(({ rfilename }) => rfilename);
  if (names.includes(CARD_FILE)) {
    await take(wantedFiles(found.siblings, { id, wanted: (file) => file === CARD_FILE }), found);
  }
  const { snapshot } = found;
  const files = new Set(wanted === undefined ? chooseDataFiles({ names, snapshot }, name) : []);
  const isWanted = wanted ?? ((file: string) => files.has(file));
  await take(wantedFiles(found.siblings, { id, wanted: isWanted }), found);
  return publishRef(found);
}

async function take(files: readonly RemoteFile[], repository: Repository): Promise<void> {
  const { folder, snapshot, options } = repository;
  makeFolder(join(folder, "blobs"));
  makeFolder(snapshot);
  for (const [done, file] of files.entries()) {
    const show = (bytes: number) =>
      options.progress?.({ file: file.name, bytes, size: file.size, done, files: files.length });
    await fetchBlob(file, { repository, show });
    link(file, repository);
  }
}

/** Written last: a revision that the cache knows is one whose files are there. */
function publishRef({ folder, revision, sha, snapshot }: Repository): string {
  if (revision !== sha) {
    const ref = join(folder, `refs/${revision}`);
    makeFolder(ref.slice(0, ref.lastIndexOf("/")));
    publishText(ref, sha);
  }
  return snapshot;
}

function isDefault(name: string): boolean {
  return DEFAULT_FILES.test(name);
}

function checkAsked(id: string, revision: string): void {
  if (hubId(id) === undefined) {
    throw new PacacError("usage", `Cannot download ${id}: that is no name on the hub`, {
      remedy: "write it as org/name",
    });
  }
  const parts = revision.split("/");
  if (revision.length <= 255 && parts.every((part) => /^[A-Za-z0-9_][\w.-]*$/.test(part))) return;
  throw new PacacError("usage", `Cannot download ${id}: "${revision}" is no revision`, {
    remedy: "name a branch, a tag or a commit",
  });
}

function offline(
  id: string,
  revision: string,
  { env, kind }: HubOptions & { readonly kind: HubKind },
): string {
  const cached = cachedSnapshot(id, env, { revision, kind });
  if (cached !== undefined) return cached;
  const message = `Cannot download ${id}: HF_HUB_OFFLINE is set and the cache does not hold it`;
  throw new PacacError("model-not-found", message, {
    remedy: "unset HF_HUB_OFFLINE where there is a network, or copy a cache that holds it",
  });
}

interface Task {
  readonly repository: Repository;
  readonly show: (bytes: number) => void;
}

async function fetchBlob(file: RemoteFile, task: Task): Promise<void> {
  const blob = join(task.repository.folder, `blobs/${file.hash}`);
  const isThere = () => fileSize(blob) === file.size;
  if (!isThere()) {
    using _lock = await lock(file, task);
    if (!isThere()) await grow(file, blob, task);
  }
  task.show(file.size);
}

async function lock({ hash, name }: RemoteFile, { repository }: Task): Promise<Disposable> {
  const { folder, options } = repository;
  const slash = folder.lastIndexOf("/");
  const locks = join(folder.slice(0, slash), `.locks/${folder.slice(slash + 1)}`);
  makeFolder(locks);
  const path = join(locks, `${hash}.lock`);
  const file = withFile(path, () => Deno.openSync(path, { write: true, create: true }));
  try {
    for (let waited = 0; !file.tryLockSync(true); waited++) {
      if (waited === 6000) {
        const message = `Cannot download ${name}: another process has been at it for 10 minutes`;
        throw hubFailed(message, `end that process; it holds ${path}`);
      }
      await pause(100, options.signal);
    }
  } catch (error) {
    file.close();
    throw error;
  }
  return { [Symbol.dispose]: () => file.close() };
}

async function grow(file: RemoteFile, blob: string, task: Task): Promise<void> {
  const part = `${blob}.incomplete`;
  await withRetries(async () => {
    using out = withFile(
      part,
      () => Deno.openSync(part, { read: true, write: true, create: true }),
    );
    const state = { hash: hashOf(file), bytes: 0 };
    const there = withFile(part, () => out.statSync().size);
    if (there <= file.size) resume(out, { part, there, state });
    task.show(state.bytes);
    if (state.bytes < file.size) await receive(file, { out, part, state, task });
    withFile(part, () => {
      out.truncateSync(file.size);
      out.syncSync();
    }, "Cannot write");
    if (state.hash.digest("hex") === file.hash) return;
    removeIfThere(part);
    const message = `Cannot download ${file.name}: its bytes are not those that ${file.hash} names`;
    throw hubFailed(message, "it was thrown away: try again; if it persists, do not use the model");
  }, task.repository.options);
  withFile(blob, () => Deno.renameSync(part, blob), "Cannot write");
}

interface State {
  hash: Hash;
  bytes: number;
}

function hashOf({ hash, size }: RemoteFile): Hash {
  // git hashes a head of its own before the bytes.
  return hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

// What an earlier try left counts, after it went through the hash.
function resume(
  out: Deno.FsFile,
  { part, there, state }: { readonly part: string; readonly there: number; readonly state: State },
): void {
  const buffer = new Uint8Array(1 << 20);
  withFile(part, () => {
    while (state.bytes < there) {
      const count = out.readSync(buffer.subarray(0, Math.min(buffer.length, there - state.bytes)));
      if (count === null) break;
      state.hash.update(buffer.subarray(0, count));
      state.bytes += count;
    }
  });
}

async function receive(
  file: RemoteFile,
  { out, part, state, task }: {
    readonly out: Deno.FsFile;
    readonly part: string;
    readonly state: State;
    readonly task: Task;
  },
): Promise<void> {
  const { repository: { id, kind, sha, options }, show } = task;
  const path = file.name.split("/").map(encodeURIComponent).join("/");
  const purpose = `download ${file.name} of ${id}`;
  const headers = state.bytes === 0 ? {} : { range: `bytes=${state.bytes}-` };
  const site = `${hubEndpoint(options.env)}/${kind === "model" ? "" : "datasets/"}`;
  const url = `${site}${id}/resolve/${sha}/${path}`;
  const { response, first } = await hubFetch(url, { purpose, headers }, options);
  try {
    checkTag(file, first, purpose);
    startAt(response, { file, state, purpose });
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  withFile(part, () => out.seekSync(state.bytes, Deno.SeekMode.Start));
  for await (const chunk of bodyOf(response, purpose, options.signal)) {
    if (state.bytes + chunk.length > file.size) {
      removeIfThere(part);
      const message = `Cannot ${purpose}: it is longer than its ${file.size} bytes`;
      throw hubFailed(message, "it was thrown away: try again; check HF_ENDPOINT");
    }
    withFile(part, () => writeAll(out, chunk), "Cannot write");
    state.hash.update(chunk);
    state.bytes += chunk.length;
    show(state.bytes);
  }
  if (state.bytes < file.size) throw cutOff(purpose, { file, state });
}

function cutOff(
  purpose: string,
  { file, state }: { readonly file: RemoteFile; readonly state: State },
): unknown {
  const reason = new Error(`the connection ended after ${state.bytes} of ${file.size} bytes`);
  return unreachable(purpose, "hub", reason);
}

// The hub names the bytes it sends; others than listed would be refused after the download anyway.
function checkTag({ hash }: RemoteFile, headers: Headers, purpose: string): void {
  const tag = headers.get("x-linked-etag") ?? headers.get("etag");
  const plain = tag?.replace(/^W\//, "").replaceAll('"', "");
  if (plain === undefined || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(plain)) return;
  if (plain === hash) return;
  const message = `Cannot ${purpose}: the hub sends ${plain}, its list says ${hash}`;
  throw hubFailed(message, "the model is changing or the hub is not to be trusted: try again");
}

// A server that knows no ranges sends all again.
function startAt(
  response: Response,
  { file, state, purpose }: {
    readonly file: RemoteFile;
    readonly state: State;
    readonly purpose: string;
  },
): void {
  if (response.status !== 206) {
    state.hash = hashOf(file);
    state.bytes = 0;
    return;
  }
  const range = response.headers.get("content-range") ?? "";
  if (range.startsWith(`bytes ${state.bytes}-`)) return;
  const message = `Cannot ${purpose}: bytes from ${state.bytes} were asked, ${range} came`;
  throw hubFailed(message, "check HF_ENDPOINT, or remove the .incomplete file from the cache");
}

// A link that is there is replaced in one step, so that readers always find one.
function link(
  { name, hash }: RemoteFile,
  { folder, snapshot }: Repository,
): void {
  const path = join(snapshot, name);
  const up = "../".repeat(name.split("/").length + 1);
  makeFolder(path.slice(0, path.lastIndexOf("/")));
  const temporary = `${join(folder, "blobs")}/${crypto.randomUUID()}.link`;
  withFile(path, () => {
    Deno.symlinkSync(`${up}blobs/${hash}`, temporary);
    Deno.renameSync(temporary, path);
  }, "Cannot write");
}
