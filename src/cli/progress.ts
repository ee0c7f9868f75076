/**
 * Progress of a training run: one line that is rewritten on a terminal, a line now and then elsewhere.
 * @module
 */
import type { StepEvent } from "../train/mod.ts";
import { duration, grouped, megabytes, note } from "./print.ts";

/** Seconds between plain lines. */
const PLAIN_EVERY = 10;

/** Milliseconds between two states of the live line: more often is only work for the terminal. */
const LIVE_MS = 50;

/** What is known of a run beside its events. */
export interface ProgressOptions {
  /** Seconds that a step takes where all arithmetic runs at the machine's peak; nothing where the peak is not known. */
  readonly leastSeconds?: number | undefined;
}

/** Shows steps on standard error. */
export class Progress {
  readonly #live = Deno.stderr.isTerminal();
  readonly #leastSeconds: number | undefined;
  readonly #losses: number[] = [];
  #last = -Infinity;
  /** Mean time of a step, older ones count less. */
  #mean = 0;
  #dirty = false;

  /** @param options What is known beside events */
  constructor({ leastSeconds }: ProgressOptions = {}) {
    this.#leastSeconds = leastSeconds;
  }

  /**
   * Shows a step.
   * @param event The step
   */
  step(event: StepEvent): void {
    this.#mean = this.#mean === 0 ? event.seconds : 0.9 * this.#mean + 0.1 * event.seconds;
    const left = this.#mean * (event.steps - event.step);
    const now = performance.now();
    if (this.#live) {
      this.#losses.push(event.loss);
      if (event.step < event.steps && now - this.#last < LIVE_MS) return;
      this.#last = now;
      const share = this.#leastSeconds === undefined ? undefined : this.#leastSeconds / this.#mean;
      rewrite(liveLine(event, { losses: this.#losses, left, share, columns: columns() }));
      this.#dirty = true;
      return;
    }
    const due = event.step === 1 || event.step === event.steps ||
      event.step % Math.max(1, Math.ceil(event.steps / 20)) === 0 ||
      now - this.#last >= 1000 * PLAIN_EVERY;
    if (!due) return;
    this.#last = now;
    note(plainLine(event, left));
  }

  /**
   * Shows how far an evaluation is; one that is over in a moment is not worth a line.
   * @param done Batches
   * @param total Of how many
   */
  evaluating(done: number, total: number): void {
    const now = performance.now();
    if (done === 1) this.#last = now;
    if (now - this.#last < (this.#live ? LIVE_MS : 1000 * PLAIN_EVERY)) return;
    this.#last = now;
    const line = `validating: ${done} of ${total} batches`;
    if (!this.#live) return note(line);
    rewrite(line);
    this.#dirty = true;
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
  const width = columns();
  const shown = width > 0 ? line.slice(0, width - 1) : line;
  Deno.stderr.writeSync(ENCODER.encode(`\r\x1b[2K${shown}`));
}

/** Columns of the curve; the fewer where the terminal is narrow, for the sake of what follows it. */
const [CURVE, NARROW_CURVE, NARROW] = [16, 8, 100];

/** What a live line shows beside its step. */
export interface LiveState {
  /** Of all steps so far. */
  readonly losses: readonly number[];
  /** Seconds to the end. */
  readonly left: number;
  /** Of the machine's peak arithmetic, where that is known. */
  readonly share: number | undefined;
  /** Of the terminal; 0 where it does not say. */
  readonly columns: number;
}

/**
 * One line for a terminal, the most wanted first: parts that find no room are left out whole.
 * @param event The step
 * @param state What is known beside it
 */
export function liveLine(event: StepEvent, state: LiveState): string {
  const { step, steps, loss, gradNorm, learningRate, tokensPerSecond, residentBytes } = event;
  const { losses, left, share, columns } = state;
  const curve = sparkline(losses, columns > 0 && columns < NARROW ? NARROW_CURVE : CURVE);
  const parts = [
    `step ${`${step}`.padStart(`${steps}`.length)}/${steps}`,
    `loss ${loss.toFixed(4)} ${curve}`,
    `${grouped(tokensPerSecond)} tokens/s`,
    step < steps ? `${duration(left)} left` : "done",
    ...(share === undefined ? [] : [`${(100 * share).toFixed(0)} % of peak`]),
    megabytes(residentBytes),
    `norm ${gradNorm.toFixed(3)}`,
    `lr ${learningRate.toExponential(2)}`,
  ];
  let line = parts[0];
  for (const part of parts.slice(1)) {
    const longer = `${line}  ${part}`;
    // The last column stays free: some terminals wrap when it is written.
    if (columns > 0 && longer.length >= columns) break;
    line = longer;
  }
  return line;
}

const BARS = "▁▂▃▄▅▆▇█";

/**
 * A curve of block characters, from the least value to the greatest.
 * @param values What is drawn, each character the mean of its share
 * @param width Characters at most
 */
export function sparkline(values: readonly number[], width: number): string {
  const finite = values.filter(Number.isFinite);
  const count = Math.min(width, finite.length);
  const means = Array.from({ length: count }, (_, i) => {
    const begin = Math.floor(i * finite.length / count);
    const share = finite.slice(begin, Math.floor((i + 1) * finite.length / count));
    return share.reduce((sum, value) => sum + value, 0) / share.length;
  });
  const least = Math.min(...means), range = Math.max(...means) - least;
  return means.map((mean) =>
    BARS[range === 0 ? 0 : Math.round((mean - least) / range * (BARS.length - 1))]
  ).join("");
}

function plainLine(event: StepEvent, left: number): string {
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

function columns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 0;
  }
}
