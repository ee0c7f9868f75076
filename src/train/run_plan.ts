/**
 * What a run set out to do, as far as its numbers depend on it: a resumed run that would have taken other steps until now is no
 * continuation, and is refused.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { ProgramInfo } from "./engine.ts";
import { learningRateAt, type RateSchedule } from "./schedule.ts";

/** Settings of a run that its numbers depend on, beside data and program. Plain data, to be kept in a checkpoint. */
export interface RunPlan {
  /** Decoupled decay. */
  readonly weightDecay: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  readonly maxGradNorm: number;
  /** Micro-batches a step. */
  readonly accumulate: number;
  /** The learning rate's course, with its peak and the steps of the whole run. */
  readonly schedule: RateSchedule;
}

/** What of the loop's options makes a plan. */
interface PlanOptions {
  readonly schedule: RateSchedule;
  readonly weightDecay?: number;
  readonly maxGradNorm?: number;
}

/**
 * The plan of a run: what is asked for, and what the model description says where nothing is.
 * @param info The program
 * @param options The rates' course, and settings
 */
export function planOf(info: ProgramInfo, options: PlanOptions): RunPlan {
  const { optimizer } = info;
  return {
    weightDecay: options.weightDecay ?? optimizer.weightDecay,
    maxGradNorm: options.maxGradNorm ?? info.maxGradNorm,
    accumulate: info.accumulate,
    schedule: options.schedule,
  };
}

/** What must not change; the schedule and the steps may, where the steps that are done had the same rates. */
const FIXED = ["weightDecay", "maxGradNorm", "accumulate"] as const;

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
  const [was, is] = [before.schedule, now.schedule];
  if (was.learningRate !== is.learningRate) {
    throw otherPlan("learningRate", was.learningRate, is.learningRate);
  }
  const shared = Math.min(stepsDone, was.steps, is.steps);
  for (let step = 1; step <= shared; step++) {
    if (learningRateAt(step, was) === learningRateAt(step, is)) continue;
    if (text(was) !== text(is)) throw otherPlan("schedule", text(was), text(is));
    throw otherPlan("steps", was.steps, is.steps);
  }
}

/** What is not a matter of the steps alone. */
function text({ kind, warmupSteps, decaySteps, floor }: RateSchedule): string {
  const decay = kind === "wsd" ? `, ${decaySteps} of decay` : "";
  return `${kind} (${warmupSteps} steps of warm-up${decay}, floor ${floor})`;
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
