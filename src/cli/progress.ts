/**
 * Progress of a training run: one line that is rewritten on a terminal, a line now and then elsewhere.
 * @module
 */
import type { StepEvent } from "../train/mod.ts";
import { duration, grouped, note } from "./print.ts";

/** Seconds between plain lines. */
const PLAIN_EVERY = 10;

/** Shows steps on standard error. */
export class Progress {
  readonly #live = Deno.stderr.isTerminal();
  #lastPlain = -Infinity;
  /** Mean time of a step, older ones count less. */
  #mean = 0;
  #dirty = false;

  /**
   * Shows a step.
   * @param event The step
   */
  step(event: StepEvent): void {
    this.#mean = this.#mean === 0 ? event.seconds : 0.9 * this.#mean + 0.1 * event.seconds;
    const line = describe(event, this.#mean * (event.steps - event.step));
    if (this.#live) {
      rewrite(line);
      this.#dirty = true;
      return;
    }
    const now = performance.now() / 1000;
    const due = event.step === 1 || event.step === event.steps ||
      event.step % Math.max(1, Math.ceil(event.steps / 20)) === 0 ||
      now - this.#lastPlain >= PLAIN_EVERY;
    if (!due) return;
    this.#lastPlain = now;
    note(line);
  }

  /** Leaves the last state on its own line. */
  end(): void {
    if (this.#dirty) note("");
    this.#dirty = false;
  }
}

/** Shows the stages of a compile: one line that is rewritten on a terminal, every tenth elsewhere. */
export class Status {
  readonly #live = Deno.stderr.isTerminal();
  #count = 0;

  /**
   * Shows what is done.
   * @param text One line
   */
  show(text: string): void {
    this.#count++;
    if (this.#live) rewrite(text);
    else if (this.#count % 10 === 0) note(text);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#live && this.#count > 0) rewrite("");
  }
}

const ENCODER = new TextEncoder();

/** Cut to the terminal's width, since a wrapped line cannot be rewritten. */
function rewrite(line: string): void {
  const { columns } = sizeOf();
  const shown = columns > 0 ? line.slice(0, columns - 1) : line;
  Deno.stderr.writeSync(ENCODER.encode(`\r\x1b[2K${shown}`));
}

function describe(event: StepEvent, left: number): string {
  const { step, steps, loss, gradNorm, learningRate, tokensPerSecond } = event;
  return [
    `step ${`${step}`.padStart(`${steps}`.length)}/${steps}`,
    `loss ${loss.toFixed(4)}`,
    `norm ${gradNorm.toFixed(3)}`,
    `lr ${learningRate.toExponential(2)}`,
    `${grouped(tokensPerSecond)} tokens/s`,
    step < steps ? `${duration(left)} left` : "done",
  ].join("  ");
}

function sizeOf(): { columns: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 0 };
  }
}
