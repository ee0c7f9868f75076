/**
 * A program that takes training steps, or writes answers, on request, a line each way: step_time.py and step_time.ts, decode_time.py and
 * decode_time.ts.
 * @module
 */
import { Conversation, type ConversationOptions } from "./conversation.ts";

/** How a program is started. */
interface StepperOptions extends ConversationOptions {
  /** Seconds that a compile took before. */
  readonly compileSeconds?: number;
}

/** A step that a program took. */
interface Step {
  readonly seconds: number;
  /** What it wrote, where it writes. */
  readonly text: string;
}

interface Answer {
  readonly seconds: number;
  readonly text?: string;
}

interface First {
  readonly warmup_seconds: number;
  readonly flops_per_step?: number;
}

/** The other end of the conversation. */
export class Stepper {
  /** Seconds until the first step was done, a compile included. */
  readonly warmUpSeconds: number;
  /** Model FLOPs; undefined where the program does not know. */
  readonly flopsPerStep: number | undefined;
  readonly #program: Conversation;

  private constructor(program: Conversation, first: First, compileSeconds: number) {
    this.#program = program;
    this.warmUpSeconds = compileSeconds + first.warmup_seconds;
    this.flopsPerStep = first.flops_per_step;
  }

  /**
   * Starts a program and waits for its first step.
   * @param command The executable
   * @param args Its arguments
   * @param options Seconds that a compile took before, how long an answer may take, environment variables
   * @throws {Error} Where the program ends before it answers, or takes too long
   */
  static async start(
    command: string,
    args: readonly string[],
    { compileSeconds = 0, ...options }: StepperOptions = {},
  ): Promise<Stepper> {
    const program = new Conversation(command, args, options);
    return new Stepper(program, await program.answer<First>(), compileSeconds);
  }

  /** Takes one step. */
  async step(): Promise<Step> {
    const { seconds, text = "" } = await this.#program.answer<Answer>("");
    return { seconds, text };
  }

  /** Ends the program; its peak resident memory in MB. */
  async end(): Promise<number> {
    return (await this.#program.end<{ peak_rss_mb: number }>()).peak_rss_mb;
  }
}
