/**
 * A program that takes training steps, or writes answers, on request, a line each way: step_time.py and step_time.ts, decode_time.py and
 * decode_time.ts.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

/** How a program is started. */
interface StepperOptions {
  /** Seconds that a compile took before. */
  readonly compileSeconds?: number;
  /** The longest that an answer may take; a program that takes longer is killed. Without it, any time. */
  readonly limitSeconds?: number;
  /** Environment variables beside this process's. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A step that a program took. */
interface Step {
  readonly seconds: number;
  /** What it wrote, where it writes. */
  readonly text: string;
}

interface Answer extends Readonly<Record<string, number | string | undefined>> {
  readonly warmup_seconds: number;
  readonly flops_per_step?: number;
  readonly seconds: number;
  readonly text?: string;
  readonly peak_rss_mb: number;
}

/** The other end of the conversation. */
export class Stepper {
  /** Seconds until the first step was done, a compile included. */
  readonly warmUpSeconds: number;
  /** Model FLOPs; undefined where the program does not know. */
  readonly flopsPerStep: number | undefined;
  readonly #program: Program;

  private constructor(program: Program, first: Answer, compileSeconds: number) {
    this.#program = program;
    this.warmUpSeconds = compileSeconds + first.warmup_seconds;
    this.flopsPerStep = first.flops_per_step;
  }

  /**
   * Starts a program and waits for its first step.
   * @param command The executable
   * @param args Its arguments
   * @param options Seconds that a compile took before, how long an answer may take, environment variables
   * @throws {Error} Where the program ends before it answers, or takes too long; what it said on standard error is shown as it comes
   */
  static async start(
    command: string,
    args: readonly string[],
    { compileSeconds = 0, limitSeconds, environment = {} }: StepperOptions = {},
  ): Promise<Stepper> {
    const program = new Program(command, args, { limitSeconds, environment });
    return new Stepper(program, await program.answer(), compileSeconds);
  }

  /** Takes one step. */
  async step(): Promise<Step> {
    const { seconds, text = "" } = await this.#program.answer("\n");
    return { seconds, text };
  }

  /** Ends the program; its peak resident memory in MB. */
  async end(): Promise<number> {
    return (await this.#program.answer("")).peak_rss_mb;
  }
}

/** The process and its lines. */
class Program {
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #limitSeconds: number | undefined;

  constructor(
    command: string,
    args: readonly string[],
    { limitSeconds, environment }: {
      readonly limitSeconds: number | undefined;
      readonly environment: Readonly<Record<string, string>>;
    },
  ) {
    this.#command = command;
    const env = { ...process.env, ...environment };
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error(`${command} has no standard output`);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    this.#limitSeconds = limitSeconds;
  }

  /** The next line, after a request; "" ends the input. */
  async answer(request?: string): Promise<Answer> {
    if (request === "") this.#child.stdin?.end();
    else if (request !== undefined) this.#child.stdin?.write(request);
    let late = false;
    const timer = this.#limitSeconds === undefined ? undefined : setTimeout(() => {
      late = true;
      this.#child.kill("SIGKILL");
    }, 1000 * this.#limitSeconds);
    try {
      const { value, done } = await this.#lines.next();
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
