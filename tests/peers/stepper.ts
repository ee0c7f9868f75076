/**
 * A program that takes training steps on request, a line each way a step: step_time.py and step_time.ts.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** The other end of the conversation. */
export class Stepper {
  /** Seconds until the first step was done, a compile included. */
  readonly warmUpSeconds: number;
  /** Model FLOPs; undefined where the program does not know. */
  readonly flopsPerStep: number | undefined;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(
    child: ChildProcess,
    answers: AsyncIterator<string>,
    first: { readonly warmUpSeconds: number; readonly flopsPerStep: number | undefined },
  ) {
    this.#child = child;
    this.#answers = answers;
    this.warmUpSeconds = first.warmUpSeconds;
    this.flopsPerStep = first.flopsPerStep;
  }

  /**
   * Starts a program and waits for its first step.
   * @param command The executable
   * @param args Its arguments
   * @param options Seconds that a compile took before
   * @throws {Error} Where the program ends before it answers; what it said on standard error is shown as it comes
   */
  static async start(
    command: string,
    args: readonly string[],
    { compileSeconds = 0 }: { readonly compileSeconds?: number } = {},
  ): Promise<Stepper> {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    try {
      const first = await answerOf(answers);
      return new Stepper(child, answers, {
        warmUpSeconds: compileSeconds + first.warmup_seconds,
        flopsPerStep: first.flops_per_step,
      });
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  /** Takes one step; its seconds. */
  async step(): Promise<number> {
    this.#child.stdin?.write("\n");
    return (await answerOf(this.#answers)).seconds;
  }

  /** Ends the program; its peak resident memory in MB. */
  async end(): Promise<number> {
    this.#child.stdin?.end();
    return (await answerOf(this.#answers)).peak_rss_mb;
  }
}

async function answerOf(answers: AsyncIterator<string>): Promise<Record<string, number>> {
  const { value, done } = await answers.next();
  if (done === true) throw new Error("a program ended before it answered");
  return JSON.parse(value);
}
