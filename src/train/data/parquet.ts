/**
 * Rows of Parquet files, read by a thread of their own under a watch: a damaged page that its library never comes to the end of
 * is an error, not a program that hangs.
 * @module
 */
import { Worker } from "node:worker_threads";
import { PacacError, type Place } from "../../errors.ts";
import { messageOf } from "../json.ts";
import type { ReadOptions } from "./bytes.ts";
import type { ParquetMessage } from "./parquet_worker.ts";
import type { RowStream } from "./rows.ts";

/** What reading Parquet can be told. */
export interface ParquetOptions extends ReadOptions {
  /** Milliseconds without progress after which a file counts as damaged, a group's size apart. */
  readonly patience?: number;
}

/** Far above what a page takes on a busy machine. */
const PATIENCE_MS = 20_000;

/** Far below what is unpacked on a busy machine. */
const BYTES_PER_MS = 2000;

/**
 * The rows of a file. Lines count rows, from 1.
 * @param file Its path
 * @param options Signal and progress
 * @throws {PacacError} io; data-invalid where it is damaged or cut off, naming the row group
 */
export async function* parquetRows(file: string, options: ParquetOptions = {}): RowStream {
  const reader = new Reader(file, options);
  try {
    let line = 0;
    for (let rows = await reader.next(); rows !== undefined; rows = await reader.next()) {
      for (const value of rows) yield { value, place: { file, line: ++line } };
    }
  } finally {
    await reader.end();
  }
}

type Rows = Extract<ParquetMessage, { kind: "rows" }>["rows"];

/** The thread, and the watch over it. */
class Reader {
  readonly #file: string;
  readonly #options: ParquetOptions;
  readonly #worker: Worker;
  readonly #messages: ParquetMessage[] = [];
  #wake = Promise.withResolvers<void>();
  #group: number | undefined;
  #groupBytes = 0;
  /** Until the thread says something, it is starting, which depends on the machine alone. */
  #isStarted = false;

  constructor(file: string, options: ParquetOptions) {
    this.#file = file;
    this.#options = options;
    this.#worker = new Worker(new URL("./parquet_worker.ts", import.meta.url), {
      workerData: file,
    });
    this.#worker.on("message", (message: ParquetMessage) => this.#take(message));
    this.#worker.on("error", (error) => {
      const { code, ...what } = this.#damaged(messageOf(error));
      this.#take({ kind: "fault", code, ...what });
    });
  }

  /** Rows of the next piece; nothing at the end. */
  async next(): Promise<Rows | undefined> {
    const { signal, onRead } = this.#options;
    this.#worker.postMessage("next");
    for (;;) {
      const message = this.#messages.shift() ?? await this.#arrival();
      signal?.throwIfAborted();
      this.#isStarted = true;
      switch (message.kind) {
        case "read":
          onRead?.(message.bytes);
          break;
        case "group":
          this.#group = message.group;
          this.#groupBytes = message.bytes;
          break;
        case "rows":
          return message.rows;
        case "fault": {
          const { code, message: text, place, remedy } = message;
          throw new PacacError(code, text, { place, remedy });
        }
        case "end":
          return undefined;
      }
    }
  }

  /** Ends the thread, whatever it does. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(message: ParquetMessage): void {
    this.#messages.push(message);
    this.#wake.resolve();
  }

  async #arrival(): Promise<ParquetMessage> {
    const { signal, patience = PATIENCE_MS } = this.#options;
    const limit = this.#isStarted ? patience + this.#groupBytes / BYTES_PER_MS : PATIENCE_MS * 3;
    // Nothing waits at this moment: what woke before was taken already.
    this.#wake = Promise.withResolvers<void>();
    const stop = () => this.#wake.resolve();
    signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(stop, limit);
    try {
      await this.#wake.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
    signal?.throwIfAborted();
    const message = this.#messages.shift();
    if (message !== undefined) return message;
    const seconds = Math.round(limit / 1000);
    const { code, message: text, ...detail } = this.#damaged(`no progress in ${seconds} s`);
    throw new PacacError(code, text, detail);
  }

  #damaged(state: string): {
    code: "data-invalid";
    message: string;
    place: Place;
    remedy: string;
  } {
    const group = this.#group === undefined ? {} : { field: `row group ${this.#group}` };
    return {
      code: "data-invalid",
      message: `Cannot read Parquet: ${state}`,
      place: { file: this.#file, ...group },
      remedy: "the file is damaged: fetch it again",
    };
  }
}
