/**
 * What a run set out to do, as far as its numbers depend on it: a resumed run that would have taken other steps until now is no
 * continuation, and is refused.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { ProgramInfo } from "./engine.ts";
import { courseOf, learningRateAt, type RateSchedule } from "./schedule.ts";

/** Settings of a run that its numbers depend on, beside data and program. Plain data, to be kept in a checkpoint. */
export interface RunPlan {
  /** Steps of the whole run. */
  readonly steps: number;
  /** The highest rate. */
  readonly learningRate: number;
  /** Decoupled decay. */
  readonly weightDecay: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  readonly maxGradNorm: number;
  /** Micro-batches a step. */
  readonly accumulate: number;
  /** The learning rate's course. */
  readonly schedule: RateSchedule;
}

/** What of the loop's options makes a plan. */
interface PlanOptions {
  readonly steps: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly maxGradNorm?: number;
  readonly schedule?: Partial<RateSchedule>;
}

/**
 * The plan of a run: what is asked for, and what the model description says where nothing is.
 * @param info The program
 * @param options Steps and settings
 */
export function planOf(info: ProgramInfo, options: PlanOptions): RunPlan {
  const { optimizer } = info;
  return {
    steps: options.steps,
    learningRate: options.learningRate ?? optimizer.learningRate,
    weightDecay: options.weightDecay ?? optimizer.weightDecay,
    maxGradNorm: options.maxGradNorm ?? info.maxGradNorm,
    accumulate: info.accumulate,
    schedule: courseOf(info.schedule, options.schedule),
  };
}

/** What must not change; the schedule and the steps may, where the steps that are done had the same rates. */
const FIXED = ["learningRate", "weightDecay", "maxGradNorm", "accumulate"] as const;

/**
 * Refuses a plan under which the steps that are done would have been others.
 * @param before The plan that the run began with
 * @param now The plan at hand
 * @param stepsDone Steps that are done
 * @throws {PacacError} checkpoint-invalid, naming the field
 */
export function requireSamePlan(before: RunPlan, now: RunPlan, stepsDone: number): void {
  for (const field of FIXED) {
    if (before[field] !== now[field]) throw otherPlan(field, before[field], now[field]);
  }
  const shared = Math.min(stepsDone, before.steps, now.steps);
  for (let step = 1; step <= shared; step++) {
    if (learningRateAt(step, before) === learningRateAt(step, now)) continue;
    if (text(before.schedule) !== text(now.schedule)) {
      throw otherPlan("schedule", text(before.schedule), text(now.schedule));
    }
    throw otherPlan("steps", before.steps, now.steps);
  }
}

/** Fields in the order of their names: a checkpoint's come in another. */
function text(schedule: RateSchedule): string {
  const { kind, warmup, warmupSteps, floor } = schedule;
  return `${kind} (${
    warmupSteps === undefined ? `warm-up ${warmup}` : `${warmupSteps} steps of warm-up`
  }, floor ${floor})`;
}

function otherPlan(field: string, before: string | number, now: string | number): PacacError {
  return new PacacError(
    "checkpoint-invalid",
    `Cannot go on with other settings: ${field} was ${before}, and is ${now} now`,
    {
      place: { field },
      remedy: "give what the run began with, or begin a new run, from its adapter if you like",
    },
  );
}
