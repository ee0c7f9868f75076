/**
 * Reading files that others wrote: every failure of the system becomes an error that names the file.
 * @module
 */
import { type ErrorCode, PacacError, type Place } from "../errors.ts";

/**
 * The error for a failed system call: `io`, with the file and what the system said.
 * @param what "Cannot read", "Cannot write"
 * @param file The file
 * @param options The error underneath
 */
function ioError(
  what: string,
  file: string,
  options: { readonly cause: unknown },
): PacacError {
  const { cause } = options;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const remedy = remedyFor(reason);
  return new PacacError("io", `${what}: ${reason}`, {
    place: { file },
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}

/** What to do about the system's commonest refusals, by what it says. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/no space left|os error 28\b|ENOSPC/i, "make room on the disk, then do the same again"],
  [/quota exceeded|os error 122\b|EDQUOT/i, "make room within your quota, then do the same again"],
  [/read-only file system|os error 30\b|EROFS/i, "choose a folder on a disk that can be written"],
  [/permission denied|os error 13\b|EACCES/i, "get the right to the file, or choose another"],
  [/input\/output error|os error 5\b|\bEIO\b/i, "check the disk, or choose another"],
];

function remedyFor(reason: string): string | undefined {
  return REMEDIES.find(([pattern]) => pattern.test(reason))?.[1];
}

/**
 * Runs a step that touches a file; errors of the system become `io`, others pass.
 * @param file The file
 * @param step What to do
 * @param what "Cannot read" unless told otherwise
 */
export function withFile<T>(file: string, step: () => T, what = "Cannot read"): T {
  try {
    return step();
  } catch (cause) {
    if (isSystemError(cause)) throw ioError(what, file, { cause });
    throw cause;
  }
}

function isSystemError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const kinds: readonly unknown[] = Object.values(Deno.errors);
  return kinds.includes(error.constructor) || ("code" in error && "syscall" in error) ||
    /\(os error \d+\)/.test(error.message);
}

/**
 * Size of a regular file in bytes, or undefined where there is none (folders and pipes are none).
 * @param file Its path
 */
export function fileSize(file: string): number | undefined {
  const info = statOf(file);
  return info?.isFile === true ? info.size : undefined;
}

/**
 * Whether there is a folder at a path.
 * @param folder The path
 */
export function isFolder(folder: string): boolean {
  return statOf(folder)?.isDirectory === true;
}

function statOf(path: string): Deno.FileInfo | undefined {
  if (path === "" || path.includes("\0")) return undefined;
  try {
    return Deno.statSync(path);
  } catch (cause) {
    const absent = cause instanceof Deno.errors.NotFound ||
      cause instanceof Deno.errors.NotADirectory;
    if (absent) return undefined;
    throw ioError("Cannot look at", path, { cause });
  }
}

/** How much of a JSON file is read, and what to call its errors. */
export interface JsonOptions {
  /** Code of the error where it is no JSON. */
  readonly code: ErrorCode;
  /** Largest size that is read; 16 MiB unless told otherwise. */
  readonly maxBytes?: number;
}

/**
 * Reads a JSON file.
 * @param file Its path
 * @param options The code of errors about its content
 * @throws {PacacError} `io` where it cannot be read, the given code where it is no JSON
 */
export function readJson(file: string, options: JsonOptions): unknown {
  const { code, maxBytes = 1 << 24 } = options;
  const place: Place = { file };
  const size = fileSize(file);
  if (size === undefined) {
    throw new PacacError("io", "Cannot read the file: it is not there", { place });
  }
  if (size > maxBytes) {
    const message = `Cannot read JSON: ${size} bytes are more than the limit of ${maxBytes}`;
    throw new PacacError(code, message, { place, remedy: "check that it is the right file" });
  }
  return parseJson(withFile(file, () => Deno.readFileSync(file)), { code, place });
}

/**
 * Parses bytes as JSON in UTF-8.
 * @param bytes The text
 * @param options Code and place of the error
 */
export function parseJson(
  bytes: Uint8Array<ArrayBuffer>,
  options: { readonly code: ErrorCode; readonly place: Place },
): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PacacError(options.code, `Cannot parse JSON: ${reason}`, {
      place: options.place,
      remedy: "mend the file, or fetch it again",
      cause,
    });
  }
}

/**
 * Fills a buffer from a place in an open file.
 * @param file The open file
 * @param into Where the bytes go; all of it is filled
 * @param options Offset of the first byte in the file
 * @returns How many bytes there were: fewer than asked at the file's end
 */
export function readAt(
  file: Deno.FsFile,
  into: Uint8Array,
  options: { readonly offset: number },
): number {
  file.seekSync(options.offset, Deno.SeekMode.Start);
  let done = 0;
  while (done < into.length) {
    const count = file.readSync(into.subarray(done));
    if (count === null || count === 0) break;
    done += count;
  }
  return done;
}

/**
 * Joins a folder and a file name.
 * @param folder The folder
 * @param name The name
 */
export function join(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}
