/**
 * Where a run's events are kept beside being shown: one small interface, and the one that is always there, lines of JSON.
 *
 * A logger of one's own is an object with `log`; whoever loops over a trainer's events calls it.
 * @module
 */
import { dirname } from "node:path";
import { makeFolder, publishText, writeAll } from "../formats/atomic.ts";
import { fileSize, withFile } from "../formats/files.ts";
import type { TrainEvent } from "./events.ts";

/** Keeps events somewhere. */
export interface Logger extends Disposable {
  /**
   * Keeps an event.
   * @param event The event
   */
  log(event: TrainEvent): void;
}

/** Appends each event as a line of JSON with the time in milliseconds since 1970. */
export class JsonlLogger implements Logger {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /**
   * Opens a file to append to, in a folder that is made if needed. Lines of steps that were done again after a crash would come twice: they go first.
   * @param path The file
   * @param stepsDone Where the run goes on from; 0 begins a new file
   * @throws {PacacError} io
   */
  constructor(path: string, stepsDone: number) {
    this.#path = path;
    makeFolder(dirname(path));
    const size = fileSize(path);
    if (size !== undefined) {
      const text = stepsDone === 0 ? "" : withFile(path, () => Deno.readTextFileSync(path));
      publishText(path, linesUpTo(text, stepsDone));
    }
    this.#file = withFile(
      path,
      () => Deno.openSync(path, { append: true, create: true }),
      "Cannot write",
    );
  }

  /**
   * Appends a line.
   * @param event The event
   * @throws {PacacError} io
   */
  log(event: TrainEvent): void {
    const line = `${JSON.stringify({ time: Date.now(), ...event })}\n`;
    withFile(
      this.#path,
      () => writeAll(this.#file, new TextEncoder().encode(line)),
      "Cannot write",
    );
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** A line that a crash cut off is no JSON, and goes too. */
function linesUpTo(text: string, stepsDone: number): string {
  return text.split("\n").filter((line) => (stepOf(line) ?? Infinity) <= stepsDone)
    .map((line) => `${line}\n`).join("");
}

function stepOf(line: string): number | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || !("step" in value)) return undefined;
    return typeof value.step === "number" ? value.step : undefined;
  } catch {
    return undefined;
  }
}
