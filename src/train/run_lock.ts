/**
 * One process at a time writes into a run's folder: two would publish checkpoints over each other.
 *
 * The lock is the system's own on an open file (flock), so it ends with its process, however that ends; the file's content, the
 * holder's process id, only serves the message.
 * @module
 */
import { PacacError } from "../errors.ts";
import { makeFolder } from "../formats/atomic.ts";
import { join, withFile } from "../formats/files.ts";

/** Holds a run's folder until it is disposed of. */
export class RunLock implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Takes a folder, which is made where it is not there.
   * @param folder The run's folder
   * @throws {PacacError} io, where another process holds it, or the system refuses
   */
  static take(folder: string): RunLock {
    makeFolder(folder);
    const path = join(folder, "lock");
    return withFile(path, () => {
      const file = Deno.openSync(path, { read: true, write: true, create: true });
      try {
        if (!file.tryLockSync(true)) throw heldError(folder, path);
        file.truncateSync(0);
        file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
      } catch (error) {
        file.close();
        throw error;
      }
      return new RunLock(file);
    }, "Cannot lock the run's folder");
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function heldError(folder: string, path: string): PacacError {
  const holder = Deno.readTextFileSync(path).trim();
  const who = /^\d+$/.test(holder) ? `process ${holder}` : "another process";
  return new PacacError("io", `Cannot use the run's folder: ${who} is training into it`, {
    place: { file: folder },
    remedy: "wait until it ends, or choose another folder with --out",
  });
}
