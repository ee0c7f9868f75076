/**
 * The process that runs candidates (native/tune/runner.cpp): started when needed, again after a candidate has brought it down.
 * @module
 */
import { buildExecutable } from "../build/compile.ts";
import { Headers } from "../build/headers.ts";
import { NATIVE } from "../build/toolchain.ts";
import { Bug } from "../errors.ts";

/** A candidate ended the process, or did not come back. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** How long an order may take before the candidate counts as hanging; what is timed has run once before. */
const PATIENCE_MS = { time: 600_000, other: 60_000 } as const;

/** Builds the runner's program. */
export async function buildRunner(
  options: { readonly signal?: AbortSignal } = {},
): Promise<string> {
  const file = "native/tune/runner.cpp";
  const source = Deno.readTextFileSync(`${NATIVE}/tune/runner.cpp`);
  return await buildExecutable({ file, source }, { flags: [], headers: new Headers(), ...options });
}

/** One process. After a {@linkcode Crash} it is over; a new one takes its place. */
export class Runner implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #signal: AbortSignal | undefined;
  #text = "";

  /**
   * @param program What {@linkcode buildRunner} built
   * @param options Threads of the kernels; a signal that ends waiting for an answer
   */
  constructor(
    program: string,
    { threads, signal }: { readonly threads: number; readonly signal: AbortSignal | undefined },
  ) {
    this.#signal = signal;
    this.#child = new Deno.Command(program, {
      args: [`${threads}`],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Sends an order and waits for its answer.
   * @param lines The order
   * @returns The answer's words
   * @throws {Crash} Where the process ended or hangs
   * @throws {Bug} Where it refused the order
   * @throws The signal's reason
   */
  async ask(...lines: readonly string[]): Promise<string[]> {
    const patience = lines[0].startsWith("time ") ? PATIENCE_MS.time : PATIENCE_MS.other;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const stop = () => reject(this.#signal?.reason);
    const timer = setTimeout(() => reject(new Crash("did not come back")), patience);
    this.#signal?.addEventListener("abort", stop);
    try {
      this.#signal?.throwIfAborted();
      const text = new TextEncoder().encode(`${lines.join("\n")}\n`);
      // What is broken shows in the answer.
      this.#input.write(text).catch(() => {});
      const words = (await Promise.race([this.#line(), ended])).split(" ");
      if (words[0] === "crashed") throw new Crash(`crashed (signal ${words[2]})`);
      if (words[0] === "failed") throw new Bug(`the tuner's runner: ${words.join(" ")}`);
      return words;
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener("abort", stop);
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Crash("ended the process");
      this.#text += value;
    }
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await this.#output.cancel().catch(() => {});
    await this.#input.abort().catch(() => {});
  }
}
