/**
 * What the training loop remembers between steps, and when it is written down.
 * @module
 */
import { PacacError } from "../errors.ts";
import { type DataIdentity, requireSameData } from "./data/identity.ts";
import type { SavedEvent, StoppedEvent } from "./events.ts";
import { requireSamePlan, type RunPlan } from "./run_plan.ts";
import type { Trainer } from "./trainer.ts";

/** What a run is held to. */
interface Identity {
  readonly data: DataIdentity;
  /** Of data that validates and is no part of the training data's files. */
  readonly validation?: DataIdentity | undefined;
  readonly plan: RunPlan;
}

/**
 * Holds a run to the data and the settings it began with.
 * @param trainer The trainer
 * @param identity What the data at hand is, and the plan
 * @throws {PacacError} checkpoint-invalid, naming the file or the setting that changed
 */
export function takeIdentity(trainer: Trainer, identity: Identity): void {
  const { run, stepsDone } = trainer;
  const { data, validation, plan } = identity;
  if (run.data !== undefined) {
    requireSameData(run.data, data);
    requireSameValidation(run.validation, validation);
  }
  if (run.plan !== undefined) requireSamePlan(run.plan, plan, stepsDone);
  trainer.run = {
    ...(run.best === undefined ? {} : { best: run.best }),
    ...(run.unevaluated === undefined ? {} : { unevaluated: run.unevaluated }),
    ...(validation === undefined ? {} : { validation }),
    data,
    plan,
  };
}

/** Which checkpoint is the best, and when a run ends early, depends on what validates. */
function requireSameValidation(
  before: DataIdentity | undefined,
  now: DataIdentity | undefined,
): void {
  if (before !== undefined && now !== undefined) return requireSameData(before, now);
  if (before === now) return;
  const state = before === undefined ? "it began without" : "it is not given now";
  throw new PacacError("checkpoint-invalid", `Cannot go on with other validation data: ${state}`, {
    place: { field: "validation" },
    remedy: "give the data that the run began with, or begin a new run",
  });
}

/**
 * Remembers that the evaluation after the last step is to come, until its loss is noted.
 * @param trainer The trainer
 */
export function noteDue(trainer: Trainer): void {
  trainer.run = { ...trainer.run, unevaluated: true };
}

/**
 * Remembers a validation loss.
 * @param trainer The trainer
 * @param loss Mean over the validation set
 * @returns Whether it is the lowest of the run
 */
export function noteLoss(trainer: Trainer, loss: number): boolean {
  const { best, unevaluated: _, ...run } = trainer.run;
  const better = best === undefined ? Number.isFinite(loss) : loss < best.loss;
  const since = best && { ...best, since: best.since + 1 };
  const now = better ? { loss, step: trainer.stepsDone, since: 0 } : since;
  trainer.run = { ...run, ...(now === undefined ? {} : { best: now }) };
  return better;
}

/**
 * The event that ends a run whose evaluations no longer get better; undefined while they may.
 * @param trainer The trainer
 * @param patience Evaluations without a lower loss; never where it is not said
 */
export function stoppedEarly(
  trainer: Trainer,
  patience: number | undefined,
): StoppedEvent | undefined {
  const { best } = trainer.run;
  if (patience === undefined || best === undefined || best.since < patience) return undefined;
  return { type: "stopped", step: trainer.stepsDone, loss: best.loss, bestStep: best.step };
}

/** When and how checkpoints are written. */
interface SavingOptions {
  readonly checkpoint?: string;
  readonly saveEvery?: number;
  readonly saveMinutes?: number;
  readonly keep?: number;
}

/** Writes checkpoints by steps and by the clock. */
export class Saving {
  readonly #trainer: Trainer;
  readonly #options: SavingOptions;
  #last = performance.now();

  /**
   * The clock begins now.
   * @param trainer The trainer
   * @param options Steps and minutes between checkpoints, and how many stay
   */
  constructor(trainer: Trainer, options: SavingOptions) {
    this.#trainer = trainer;
    this.#options = options;
  }

  /**
   * Whether a checkpoint is to be written after this step.
   * @param last Whether no step follows
   */
  isDue(last: boolean): boolean {
    const { saveEvery = 0, saveMinutes = Infinity } = this.#options;
    if (last || (saveEvery > 0 && this.#trainer.stepsDone % saveEvery === 0)) return true;
    return performance.now() - this.#last >= saveMinutes * 60_000;
  }

  /**
   * Writes a checkpoint.
   * @param dir Its folder
   * @throws {PacacError} io
   */
  async save(dir: string): Promise<SavedEvent> {
    const { keep, checkpoint } = this.#options;
    // The best one is a folder of its own with one checkpoint, however many of the run's stay.
    const isRuns = dir === checkpoint;
    await this.#trainer.saveCheckpoint(dir, keep === undefined || !isRuns ? {} : { keep });
    if (isRuns) this.#last = performance.now();
    return { type: "saved", step: this.#trainer.stepsDone, dir };
  }
}
