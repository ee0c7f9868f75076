/**
 * Publishing files: readers see the old content or the new, never a half, even after a power cut.
 *
 * Content goes to a temporary name in the same folder, is synced to the disk, and takes the name by rename.
 * @module
 */
import { join, withFile } from "./files.ts";

/** The system's part in publishing a file; tests put one in its place that fails. */
export interface Disk {
  /** Writes some of the bytes at the file's current place, and says how many. */
  write(file: Deno.FsFile, bytes: Uint8Array): number;
  /** Returns once the file or folder is on the disk. */
  sync(file: Deno.FsFile): void;
  /** Gives a file another name. */
  rename(from: string, to: string): void;
}

const SYSTEM: Disk = {
  write: (file, bytes) => file.writeSync(bytes),
  sync: (file) => file.syncSync(),
  rename: (from, to) => Deno.renameSync(from, to),
};

let disk = SYSTEM;

/**
 * Runs work on another disk: for injecting faults.
 * @param other What takes the system's place; what it leaves out is the system's
 * @param work What to run
 */
export async function withDisk<Result>(
  other: Partial<Disk>,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  disk = { ...SYSTEM, ...other };
  try {
    return await work();
  } finally {
    disk = SYSTEM;
  }
}

/**
 * Publishes what a function writes.
 * @param path The file's final name
 * @param write Writes the content to the open file
 * @throws {PacacError} `io` where the system refuses; what `write` throws passes through
 */
export function publish(path: string, write: (file: Deno.FsFile) => void): void {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  withFile(path, () => {
    try {
      writeSynced(temporary, write);
      disk.rename(temporary, path);
    } catch (error) {
      removeIfThere(temporary);
      throw error;
    }
    syncFolder(parentOf(path));
  }, "Cannot write");
}

function writeSynced(path: string, write: (file: Deno.FsFile) => void): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  write(file);
  disk.sync(file);
}

/**
 * Gives a file that was written under a temporary name its own: for those that write it piece by piece.
 * @param file The open file, complete; it is closed
 * @param names Its temporary name and its final one
 */
export function finishPublishing(
  file: Deno.FsFile,
  { temporary, path }: { readonly temporary: string; readonly path: string },
): void {
  disk.sync(file);
  file.close();
  disk.rename(temporary, path);
  syncFolder(parentOf(path));
}

// The rename is on the disk once the folder is.
function syncFolder(folder: string): void {
  using file = Deno.openSync(folder);
  disk.sync(file);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

/**
 * Publishes bytes.
 * @param path The file's final name
 * @param bytes The content
 */
export function publishBytes(path: string, bytes: Uint8Array): void {
  publish(path, (file) => writeAll(file, bytes));
}

/**
 * Publishes text in UTF-8.
 * @param path The file's final name
 * @param text The content
 */
export function publishText(path: string, text: string): void {
  publishBytes(path, new TextEncoder().encode(text));
}

/**
 * Publishes chunks one after another, so that the whole never lies in memory.
 * @param path The file's final name
 * @param chunks The content
 */
export function publishChunks(path: string, chunks: Iterable<Uint8Array>): void {
  publish(path, (file) => {
    for (const chunk of chunks) writeAll(file, chunk);
  });
}

/**
 * Publishes a copy of a file.
 * @param from The file copied
 * @param to The folder that gets a file of the same name
 */
export function publishCopy(from: string, to: string): void {
  const name = from.slice(from.lastIndexOf("/") + 1);
  publishBytes(join(to, name), withFile(from, () => Deno.readFileSync(from)));
}

/**
 * Writes all of a buffer at the file's current place.
 * @param file The open file
 * @param bytes The buffer
 */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += disk.write(file, bytes.subarray(done));
}

/**
 * Makes a folder and those above it; one that is there is left as it is.
 * @param folder Its path
 */
export function makeFolder(folder: string): void {
  withFile(folder, () => Deno.mkdirSync(folder, { recursive: true }), "Cannot make the folder");
}

/**
 * Removes a file if it is there.
 * @param path Its path
 */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    withFile(path, () => {
      throw error;
    }, "Cannot remove");
  }
}
