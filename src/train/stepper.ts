/**
 * One step of the training loop: its rows, its rate, and what becomes of a loss that is no number.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { RowOrder, TrainingData } from "./data/order.ts";
import { TokenRows } from "./data/token_rows.ts";
import type { SkippedEvent, StepEvent } from "./events.ts";
import { learningRateAt, type RateSchedule } from "./schedule.ts";
import type { Trainer } from "./trainer.ts";

/** What a step takes from the loop's options. */
interface StepperOptions {
  readonly data: TrainingData;
  readonly schedule: RateSchedule;
  readonly weightDecay?: number;
  readonly maxGradNorm?: number;
  readonly onNan?: "stop" | "skip";
}

/** Steps that may be passed over one after another: more are no accident of the data. */
const MAX_SKIPPED = 10;

/** Rows that an error names. */
const MAX_NAMED = 8;

/** What an optimiser step changes. */
const STATE = ["parameters", "moment1", "moment2"];

/** Takes the steps of a run. */
export class Stepper {
  readonly #trainer: Trainer;
  readonly #order: RowOrder;
  readonly #options: StepperOptions;
  #skipped = 0;

  /**
   * Begins where the trainer stands.
   * @param trainer The trainer
   * @param order The order of its rows
   * @param options Data, steps, and settings of a step
   */
  constructor(trainer: Trainer, order: RowOrder, options: StepperOptions) {
    this.#trainer = trainer;
    this.#order = order;
    this.#options = options;
  }

  /**
   * One step, or none where its loss is no number and its rows are passed over.
   * @throws {PacacError} training-diverged, naming the rows
   */
  async step(): Promise<StepEvent | SkippedEvent> {
    const { info } = this.#trainer;
    const before = this.#options.onNan === "skip" ? this.#state() : undefined;
    const rowsPerStep = info.batch * info.accumulate;
    try {
      const event = await this.#take();
      this.#trainer.position += rowsPerStep;
      this.#skipped = 0;
      return event;
    } catch (error) {
      if (!(error instanceof PacacError) || error.code !== "training-diverged") throw error;
      const rows = this.#origins(rowsPerStep);
      if (before === undefined || ++this.#skipped > MAX_SKIPPED) throw withRows(error, rows);
      before.forEach((values, name) => this.#trainer.engine.write(name, values));
      this.#trainer.position += rowsPerStep;
      return { type: "skipped", step: this.#trainer.stepsDone, reason: error.message, rows };
    }
  }

  async #take(): Promise<StepEvent> {
    const { schedule, weightDecay, maxGradNorm } = this.#options;
    const trainer = this.#trainer, { info } = trainer;
    const { steps } = schedule;
    const learningRate = learningRateAt(trainer.stepsDone + 1, schedule);
    const batches = Array.from(
      { length: info.accumulate },
      (_, i) => this.#order.batchAt(trainer.position + i * info.batch, info.batch),
    );
    const began = performance.now();
    const result = await trainer.step(batches, {
      learningRate,
      ...(weightDecay === undefined ? {} : { weightDecay }),
      ...(maxGradNorm === undefined ? {} : { maxGradNorm }),
    });
    const seconds = (performance.now() - began) / 1000;
    const tokensPerSecond = seconds === 0 ? 0 : result.tokens / seconds;
    return {
      type: "step",
      step: trainer.stepsDone,
      steps,
      learningRate,
      ...result,
      tokensPerSecond,
      seconds,
      residentBytes: Deno.memoryUsage().rss,
    };
  }

  #state(): Map<string, Float32Array | Int32Array> {
    const { engine, info } = this.#trainer;
    const names = STATE.filter((name) => info.tensors.some((tensor) => tensor.name === name));
    return new Map(names.map((name) => [name, engine.read(name).slice()]));
  }

  /** Where the rows of the step at hand are from. */
  #origins(count: number): string[] {
    const { data } = this.#options;
    const rows = Array.from(
      { length: count },
      (_, i) => this.#order.rowAt(this.#trainer.position + i),
    );
    if (!(data instanceof TokenRows)) return rows.map((row) => `row ${row}`);
    return rows.flatMap((row) => data.originsOf(row)).map(({ file, line }) =>
      line === undefined ? `${file}` : `${file}:${line}`
    );
  }
}

function withRows(error: PacacError, rows: readonly string[]): PacacError {
  const more = rows.length > MAX_NAMED ? ` and ${rows.length - MAX_NAMED} more` : "";
  return new PacacError(
    "training-diverged",
    `${error.message}, on ${rows.slice(0, MAX_NAMED).join(", ")}${more}`,
    { place: error.place, remedy: error.remedy, cause: error },
  );
}
