/**
 * Publishes a generated folder: files that changed are replaced one by one, files of earlier compiles go.
 * @module
 */
import { PacacError } from "../errors.ts";

/** A file to publish. */
export interface GeneratedFile {
  /** Relative to the folder, without "..". */
  readonly file: string;
  readonly content: string | Uint8Array;
}

/**
 * Writes files into a folder.
 * @param folder The folder, made where it is not there
 * @param files All files that belong in it beside what was put there by name
 * @param options `keep`: names at its top that stay, such as the addon
 * @throws {PacacError} io
 */
export function writeGenerated(
  folder: string,
  files: readonly GeneratedFile[],
  options: { readonly keep?: readonly string[] } = {},
): void {
  try {
    const folders = new Set(files.map(({ file }) => folderOf(`${folder}/${file}`)));
    for (const each of folders) Deno.mkdirSync(each, { recursive: true });
    for (const { file, content } of files) replace(`${folder}/${file}`, bytesOf(content));
    removeStale(folder, new Set([...files.map(({ file }) => file), ...(options.keep ?? [])]));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new PacacError("io", `Cannot write the generated program: ${cause.message}`, {
      place: { file: folder },
      remedy: "check the folder's permissions and the disk's space, or choose another with --out",
      cause,
    });
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Leaves a file alone that says the same already. */
function replace(path: string, bytes: Uint8Array): void {
  if (same(path, bytes)) return;
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    using file = Deno.openSync(temporary, { write: true, createNew: true });
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // The first error says more.
    }
    throw error;
  }
}

function same(path: string, bytes: Uint8Array): boolean {
  try {
    const old = Deno.readFileSync(path);
    return old.length === bytes.length && old.every((byte, i) => byte === bytes[i]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Kernels and addons that the program no longer has; anything that pacac does not name so is left alone. */
function removeStale(folder: string, wanted: ReadonlySet<string>): void {
  const list = (sub: string, pattern: RegExp) => {
    try {
      return [...Deno.readDirSync(`${folder}/${sub}`)].filter((entry) =>
        entry.isFile && pattern.test(entry.name)
      ).map((entry) => `${sub}${entry.name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  };
  const old = [
    ...list("kernels/", /_[0-9a-f]{8}\.(cpp|cu)$/),
    ...list("", /^addon-[0-9a-f]{16}\.node$/),
  ];
  for (const file of old) {
    if (!wanted.has(file)) Deno.removeSync(`${folder}/${file}`);
  }
}
