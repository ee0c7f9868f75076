/**
 * Ctrl-C: the first asks for an orderly end, a second one half a second later ends at once.
 *
 * Under `deno task` one key press arrives as two signals within milliseconds (from the terminal's process group
 * and forwarded), so repeats within 500 ms are the same press.
 * @module
 */
import { note } from "./print.ts";

const SAME_PRESS_MS = 500;

/** Listens until disposed. */
export class Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #message: string;
  #first = 0;
  #code = 130;

  /** @param message What is said at the first signal */
  constructor(message: string) {
    this.#message = message;
    this.signal = this.#controller.signal;
    Deno.addSignalListener("SIGINT", this.#onInterrupt);
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", this.#onTerminate);
  }

  /** 130 after SIGINT, 143 after SIGTERM. */
  get exitCode(): number {
    return this.#code;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#onInterrupt);
    if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGTERM", this.#onTerminate);
  }

  readonly #onInterrupt = () => {
    const now = performance.now();
    if (!this.signal.aborted) {
      this.#first = now;
      note(`\n${this.#message} (Ctrl-C again: end at once)`);
      this.#controller.abort();
    } else if (now - this.#first > SAME_PRESS_MS) Deno.exit(130);
  };

  readonly #onTerminate = () => {
    if (this.signal.aborted) return;
    this.#code = 143;
    note(`\n${this.#message}`);
    this.#controller.abort();
  };
}
