/**
 * Uploading a folder, such as an adapter, to a model hub: one commit, large files by Git LFS.
 *
 * The hub is asked which files are large; these go to the addresses it names, each with the SHA-256 that it is known by
 * from then on. The commit is a list of lines in JSON: small files in base64, large ones by hash. Until it is sent, nothing
 * is seen by others.
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { fileSize, isFolder, join, readAt, withFile } from "./files.ts";
import {
  hubEndpoint,
  hubFailed,
  hubFetch,
  hubJson,
  type HubOptions,
  type HubRequest,
  isOffline,
  withRetries,
} from "./hub_api.ts";
import { hubId } from "./hub_cache.ts";

/** How far an upload is. */
export interface UploadProgress {
  readonly file: string;
  readonly size: number;
  /** Files that are done before this one, and of all. */
  readonly done: number;
  readonly files: number;
}

/** Settings of {@linkcode uploadFolder}. */
export interface UploadOptions extends HubOptions {
  /** What the commit says; "Upload with pacac" by default. */
  readonly message?: string;
  /** Whether a repository that has to be made is private; it is by default. */
  readonly isPrivate?: boolean;
  /** Called before each file is sent. */
  readonly progress?: (state: UploadProgress) => void;
}

/** A file that an upload sends. */
export interface FileToUpload {
  readonly name: string;
  readonly size: number;
}

/** Where an upload went. */
export interface Uploaded {
  /** The commit. */
  readonly commit: string;
  /** Its page. */
  readonly url: string;
}

interface LocalFile extends FileToUpload {
  readonly path: string;
}

/** A line of a commit. */
interface CommitLine {
  readonly key: "header" | "file" | "lfsFile";
  readonly value: Readonly<Record<string, string | number>>;
}

interface Task extends UploadOptions {
  readonly id: string;
  readonly endpoint: string;
}

/** Bytes of a file that the hub looks at to tell text from data. */
const SAMPLE = 512;
/** Files larger than this are not sent inside the commit, whatever the hub says. */
const MAX_INLINE = 1 << 24;
/** Largest file that is sent; an adapter is far below. */
const MAX_FILE = 2 ** 31;
const LFS_JSON = "application/vnd.git-lfs+json";

const modes = z.object({
  files: z.array(z.object({ path: z.string(), uploadMode: z.enum(["lfs", "regular"]) })),
});
const action = z.object({
  href: z.url({ protocol: /^https?$/ }),
  header: z.record(z.string(), z.string()).optional(),
});
const batch = z.object({
  objects: z.array(z.object({
    oid: z.string(),
    actions: z.object({ upload: action.optional(), verify: action.optional() }).optional(),
    error: z.object({ message: z.string() }).optional(),
  })),
});
const committed = z.object({ commitOid: z.string(), commitUrl: z.string().optional() });

/**
 * Uploads the files of a folder (not of folders in it, nor hidden ones) as one commit to main; makes the repository if
 * it is not there.
 * @param folder The folder
 * @param id Hub id, `org/name`
 * @param options Environment with HF_TOKEN, message
 * @throws {PacacError} `usage`, `hub-failed`, `io`
 */
export async function uploadFolder(
  folder: string,
  id: string,
  options: UploadOptions,
): Promise<Uploaded> {
  const task = { ...options, id, endpoint: hubEndpoint(options.env) };
  requireRights(folder, task);
  const files = localFiles(folder, id);
  await createRepository(task);
  const large = await largeFiles(files, task);
  const lines: CommitLine[] = [header(task)];
  for (const [done, file] of files.entries()) {
    options.progress?.({ file: file.name, size: file.size, done, files: files.length });
    lines.push(large.has(file.name) ? await sendLarge(file, task) : inline(file));
  }
  const answer = await hubJson(`${task.endpoint}/api/models/${id}/commit/main`, {
    purpose: `commit to ${id}`,
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  }, { ...options, schema: committed });
  const url = answer.commitUrl ?? `${task.endpoint}/${id}/commit/${answer.commitOid}`;
  return { commit: answer.commitOid, url };
}

/**
 * The files that an upload of a folder would send, in order of their names. Nothing is sent.
 * @param folder The folder
 * @param id Hub id, `org/name`
 * @throws {PacacError} `usage`, `io`
 */
export function filesToUpload(folder: string, id: string): FileToUpload[] {
  return localFiles(folder, id).map(({ name, size }) => ({ name, size }));
}

type Refusal = (state: string, remedy: string) => PacacError;

function refusal(folder: string, id: string): Refusal {
  return (state, remedy) =>
    new PacacError("usage", `Cannot upload to ${id}: ${state}`, {
      place: { file: folder },
      remedy,
    });
}

function requireRights(folder: string, { id, env }: Task): void {
  const refuse = refusal(folder, id);
  if (isOffline(env)) throw refuse("HF_HUB_OFFLINE is set", "unset it where there is a network");
  if ((env("HF_TOKEN") ?? "").trim() === "") {
    throw refuse("HF_TOKEN is not set", "set it to an access token that may write");
  }
}

function localFiles(folder: string, id: string): LocalFile[] {
  const refuse = refusal(folder, id);
  if (hubId(id)?.includes("/") !== true) {
    throw refuse("that is no name of a model", "write it as org/name");
  }
  if (!isFolder(folder)) throw refuse("the folder is not there", "name an adapter's folder");
  const entries = withFile(folder, () => [...Deno.readDirSync(folder)]);
  const files = entries.filter(({ name, isFile }) => isFile && !name.startsWith("."))
    .map(({ name }) => {
      const path = join(folder, name);
      return { name, path, size: fileSize(path) ?? 0 };
    })
    .sort((a, b) => a.name < b.name ? -1 : 1);
  const large = files.find((file) => file.size > MAX_FILE);
  if (large !== undefined) {
    throw refuse(
      `${large.name} has more than ${MAX_FILE} bytes`,
      "use the hub's own tool, hf upload",
    );
  }
  if (files.length > 0) return files;
  throw refuse("the folder holds no files", "name an adapter's folder");
}

async function createRepository(
  { id, endpoint, isPrivate = true, ...options }: Task,
): Promise<void> {
  const [organization, name] = id.split("/");
  const request = { name, organization, type: "model", private: isPrivate };
  // 409: it is there already.
  const { response } = await hubFetch(`${endpoint}/api/repos/create`, {
    ...jsonRequest(`make the repository ${id}`, request),
    accepts: 409,
  }, options);
  await response.body?.cancel();
}

async function largeFiles(files: readonly LocalFile[], task: Task): Promise<ReadonlySet<string>> {
  const asked = files.map(({ name, path, size }) => {
    const sample = firstBytes(path, Math.min(size, SAMPLE)).toBase64();
    return { path: name, size, sample };
  });
  const { files: answers } = await hubJson(
    `${task.endpoint}/api/models/${task.id}/preupload/main`,
    jsonRequest(`ask how to upload to ${task.id}`, { files: asked }),
    { ...task, schema: modes },
  );
  const lfs = answers.filter(({ uploadMode }) => uploadMode === "lfs").map(({ path }) => path);
  const tooLarge = files.filter(({ size }) => size > MAX_INLINE).map(({ name }) => name);
  return new Set([...lfs, ...tooLarge]);
}

function jsonRequest(purpose: string, value: unknown, type = "application/json"): HubRequest {
  const headers = { "content-type": type, accept: type };
  return { purpose, method: "POST", headers, body: JSON.stringify(value) };
}

function firstBytes(path: string, length: number): Uint8Array {
  return withFile(path, () => {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, readAt(file, bytes, { offset: 0 }));
  });
}

function header({ message = "Upload with pacac" }: Task): CommitLine {
  return { key: "header", value: { summary: message, description: "" } };
}

function inline({ name, path }: LocalFile): CommitLine {
  const content = withFile(path, () => Deno.readFileSync(path)).toBase64();
  return { key: "file", value: { path: name, content, encoding: "base64" } };
}

async function sendLarge(file: LocalFile, task: Task): Promise<CommitLine> {
  const { name, size } = file;
  const oid = sha256Of(file);
  const { objects } = await hubJson(
    `${task.endpoint}/${task.id}.git/info/lfs/objects/batch`,
    jsonRequest(`ask where to upload ${name}`, {
      operation: "upload",
      transfers: ["basic"],
      hash_algo: "sha256",
      objects: [{ oid, size }],
    }, LFS_JSON),
    { ...task, schema: batch },
  );
  const answer = objects.find((object) => object.oid === oid);
  if (answer === undefined || answer.error !== undefined) {
    const state = answer?.error?.message ?? "the hub does not speak of it";
    throw hubFailed(`Cannot upload ${name}: ${state}`, "check the rights of HF_TOKEN");
  }
  // No action: the hub has these bytes already.
  const { upload, verify } = answer.actions ?? {};
  if (upload !== undefined) await put(file, upload, task);
  if (verify !== undefined) {
    const request = jsonRequest(`confirm ${name}`, { oid, size }, LFS_JSON);
    await withRetries(async () => {
      const { response } = await hubFetch(verify.href, {
        ...request,
        headers: { ...request.headers, ...verify.header },
      }, task);
      await response.body?.cancel();
    }, task);
  }
  return { key: "lfsFile", value: { path: name, algo: "sha256", oid, size } };
}

function sha256Of({ path }: LocalFile): string {
  const hash = createHash("sha256");
  return withFile(path, () => {
    using file = Deno.openSync(path);
    const buffer = new Uint8Array(1 << 20);
    for (let count = file.readSync(buffer); count !== null; count = file.readSync(buffer)) {
      hash.update(buffer.subarray(0, count));
    }
    return hash.digest("hex");
  });
}

// Whole in memory: storage wants the length before, and fetch sends a stream without. The address carries its own
// rights, so the token stays at home.
async function put(
  { path, name }: LocalFile,
  to: z.infer<typeof action>,
  task: Task,
): Promise<void> {
  const body = withFile(path, () => Deno.readFileSync(path));
  await withRetries(async () => {
    const { response } = await hubFetch(to.href, {
      purpose: `upload ${name}`,
      method: "PUT",
      headers: to.header ?? {},
      body,
      authorized: false,
    }, task);
    await response.body?.cancel();
  }, task);
}
