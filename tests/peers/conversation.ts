/**
 * A program that is talked to: a line of JSON for each line that it reads.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

/** How a program is started. */
export interface ConversationOptions {
  /** The longest that an answer may take; a program that takes longer is killed. Without it, any time. */
  readonly limitSeconds?: number | undefined;
  /** Environment variables beside this process's. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/** The process and its lines. What it says on standard error is shown as it comes. */
export class Conversation {
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #limitSeconds: number | undefined;
  /** Rejects where it cannot be started. */
  readonly #failure: Promise<never>;

  /**
   * Starts it.
   * @param command The executable
   * @param args Its arguments
   * @param options How long an answer may take, environment variables
   */
  constructor(command: string, args: readonly string[], options: ConversationOptions = {}) {
    this.#command = command;
    this.#limitSeconds = options.limitSeconds;
    const env = { ...process.env, ...options.environment };
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#failure = new Promise((_, reject) => {
      const refuse = ({ message }: Error) =>
        reject(new Error(`Cannot start ${command}: ${message}`));
      this.#child.on("error", refuse);
    });
    this.#failure.catch(() => {}); // said where an answer is asked for
    const { stdout } = this.#child;
    if (stdout === null) throw new Error(`${command} has no standard output`);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /**
   * The next answer.
   * @param request Asks for it; without one the program speaks first
   * @throws {Error} Where the program cannot be started, ends before it answers, or takes too long
   */
  async answer<Answer>(request?: string): Promise<Answer> {
    if (request !== undefined) this.#child.stdin?.write(`${request}\n`);
    return await this.#next();
  }

  /** The answer to the end of what it reads. */
  async end<Answer>(): Promise<Answer> {
    this.#child.stdin?.end();
    return await this.#next();
  }

  async #next<Answer>(): Promise<Answer> {
    let late = false;
    const timer = this.#limitSeconds === undefined ? undefined : setTimeout(() => {
      late = true;
      this.#child.kill("SIGKILL");
    }, 1000 * this.#limitSeconds);
    try {
      const { value, done } = await Promise.race([this.#lines.next(), this.#failure]);
      if (done !== true) return JSON.parse(value);
    } catch (error) {
      this.#child.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    const why = late ? `took longer than ${this.#limitSeconds} s` : "ended before it answered";
    throw new Error(`${this.#command} ${why}`);
  }
}
