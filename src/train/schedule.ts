/**
 * How the learning rate changes over a run: linear warm-up, then constant, or down to a floor in a line, by half a cosine, or in
 * a line at the very end (warm-up, stable, decay).
 *
 * A description, or a run's flags, say it in shares, steps or epochs; a run plans it in steps once, records that, and goes by it.
 * @module
 */
import { invariant } from "../errors.ts";
import type { ScheduleSettings, ScheduleSpan } from "./engine.ts";

/** Shapes of the learning rate behind the warm-up. */
export const SCHEDULES = ["constant", "linear", "cosine", "wsd"] as const;

/** A course of the learning rate in steps. */
export interface RateSchedule {
  /** Shape behind the warm-up. */
  readonly kind: (typeof SCHEDULES)[number];
  /** The highest rate. */
  readonly learningRate: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Steps with a rising rate. */
  readonly warmupSteps: number;
  /** Steps at the end in which the rate falls: all behind the warm-up but for wsd, none where it is constant. */
  readonly decaySteps: number;
  /** Share of the highest rate that is left at the end. */
  readonly floor: number;
}

/** What {@linkcode planSchedule} needs beside the settings. */
export interface RunLength {
  /** Steps of the whole run. */
  readonly steps: number;
  /** Steps of a pass over the data, not rounded. */
  readonly stepsPerEpoch: number;
  /** The highest rate. */
  readonly learningRate: number;
  /** What the run puts in place of the description's. */
  readonly given?: Partial<ScheduleSettings> | undefined;
}

/** Share of the steps in which a warm-up-stable-decay schedule falls where nothing is said. */
const DECAY_SHARE = 0.2;

/**
 * The course of a run in steps. Parts of steps count whole; a warm-up ends with the run at the latest, and a decay begins behind
 * it. Where the run puts another shape in place of a constant one, whose floor is all of the rate, the floor is 0 unless the run
 * says it too.
 * @param described The description's
 * @param run Length of the run, peak, and what takes the description's place
 */
export function planSchedule(described: ScheduleSettings, run: RunLength): RateSchedule {
  const { steps, stepsPerEpoch, learningRate, given = {} } = run;
  const { kind = described.kind, warmup = described.warmup } = given;
  const decay = given.decay ?? described.decay ?? DECAY_SHARE;
  const wasConstant = described.kind === "constant" && kind !== "constant";
  const floor = kind === "constant" ? 1 : given.floor ?? (wasConstant ? 0 : described.floor);
  const inSteps = (span: ScheduleSpan): number => {
    if (typeof span === "number") return Math.ceil(span * steps);
    return "steps" in span ? span.steps : Math.ceil(span.epochs * stepsPerEpoch);
  };
  const warmupSteps = Math.min(steps, inSteps(warmup));
  const rest = steps - warmupSteps;
  const decaySteps = kind === "constant"
    ? 0
    : kind === "wsd"
    ? Math.min(rest, inSteps(decay))
    : rest;
  return { kind, learningRate, steps, warmupSteps, decaySteps, floor };
}

/**
 * The learning rate of a step. With w warm-up steps of n and i = step-1: peak·(i+1)/w while i < w, so that no step is
 * wasted on a rate of 0; then, with d steps of decay and p = (i-n+d)/d where that is above 0, else 0,
 * peak·(1 - (1-floor)·f): f = (1-cos(π·p))/2 for cosine, p for linear and wsd, 0 for constant.
 * @param step From 1 to `steps`
 * @param schedule The course
 */
export function learningRateAt(step: number, schedule: RateSchedule): number {
  const { kind, learningRate, steps, warmupSteps, decaySteps, floor } = schedule;
  invariant(step >= 1 && step <= steps, `step ${step} is outside 1 to ${steps}`);
  const index = step - 1;
  if (index < warmupSteps) return learningRate * ((index + 1) / warmupSteps);
  const progress = decaySteps === 0 ? 0 : Math.max(0, (index - steps + decaySteps) / decaySteps);
  const fallen = kind === "cosine" ? (1 - Math.cos(Math.PI * progress)) / 2 : progress;
  return learningRate * (1 - (1 - floor) * fallen);
}
