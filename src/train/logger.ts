/**
 * Where a run's events are kept beside being shown: one small interface, and the one that is always there, lines of JSON.
 *
 * A logger of one's own is an object that takes events; whoever loops over a trainer's events hands them on:
 *
 * ```ts
 * import type { Logger, TrainEvent } from "@pacac/pacac/train";
 *
 * export class CsvLogger implements Logger {
 *   readonly file = Deno.openSync("loss.csv", { write: true, create: true, truncate: true });
 *   log(event: TrainEvent) {
 *     if (event.type !== "step") return;
 *     this.file.writeSync(new TextEncoder().encode(`${event.step},${event.loss}\n`));
 *   }
 *   [Symbol.dispose]() {
 *     this.file.close();
 *   }
 * }
 * ```
 *
 * and then, beside the lines of JSON:
 *
 * ```ts ignore
 * using logs = new Loggers([new JsonlLogger("run/metrics.jsonl", trainer.stepsDone), new CsvLogger()]);
 * for await (const event of trainer.train({ data })) logs.log(event);
 * ```
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

/** Hands events on to several loggers, and ends them all. */
export class Loggers implements Logger {
  readonly #loggers: readonly Logger[];

  /**
   * Takes the loggers over: it ends them.
   * @param loggers Who gets each event, in this order
   */
  constructor(loggers: readonly Logger[]) {
    this.#loggers = loggers;
  }

  /**
   * Hands an event on.
   * @param event The event
   */
  log(event: TrainEvent): void {
    for (const logger of this.#loggers) logger.log(event);
  }

  /** Ends the loggers, the last first. */
  [Symbol.dispose](): void {
    using stack = new DisposableStack();
    for (const logger of this.#loggers) stack.use(logger);
  }
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
