/**
 * How the learning rate changes over a run: linear warm-up, then constant, or down to a floor in a line, by half a cosine, or in
 * a line at the very end (warm-up, stable, decay).
 * @module
 */
import { invariant } from "../errors.ts";
import type { ScheduleSettings } from "./engine.ts";

/** Shapes of the learning rate behind the warm-up. */
export const SCHEDULES = ["constant", "linear", "cosine", "wsd"] as const;

/** A course of the learning rate: the model description's, or what a run puts in its place. */
export interface RateSchedule extends Omit<ScheduleSettings, "kind"> {
  /** Shape behind the warm-up. */
  readonly kind: (typeof SCHEDULES)[number];
  /** Steps with a rising rate, in place of the share `warmup`. */
  readonly warmupSteps?: number;
}

/**
 * A description's course with what a run puts in its place.
 * @param described The model description's
 * @param given What a run says
 */
export function courseOf(
  described: ScheduleSettings,
  given: Partial<RateSchedule> = {},
): RateSchedule {
  // The floor of a constant rate is the rate itself: another shape would not fall from it.
  const falls = given.kind !== undefined && given.kind !== "constant";
  const floor = described.kind === "constant" && falls ? 0 : described.floor;
  return { ...described, floor, ...given };
}

/** Share of the steps in which a warm-up-stable-decay schedule falls. */
const DECAY_SHARE = 0.2;

/** What {@linkcode learningRateAt} needs beside the step. */
export interface RateSettings {
  /** Steps of the whole run. */
  readonly steps: number;
  /** The highest rate. */
  readonly learningRate: number;
  /** Warm-up, shape and floor. */
  readonly schedule: RateSchedule;
}

/**
 * The learning rate of a step. With w warm-up steps of n and i = step-1: peak·(i+1)/w while i < w, so that no step is
 * wasted on a rate of 0; then, with p = (i-w)/(n-w), peak·(1 - (1-floor)·f): f = (1-cos(π·p))/2 for cosine, p for linear, 0 for
 * constant; for wsd, 0 until the last d = ceil(n/5) steps (at most n-w), then (i-n+d)/d.
 * @param step From 1 to `steps`
 * @param settings Length of the run, peak and shape
 */
export function learningRateAt(step: number, settings: RateSettings): number {
  const { steps, learningRate, schedule: { kind, warmup, floor, warmupSteps: given } } = settings;
  invariant(step >= 1 && step <= steps, `step ${step} is outside 1 to ${steps}`);
  const index = step - 1;
  const warmupSteps = Math.min(steps, given ?? Math.ceil(warmup * steps));
  if (index < warmupSteps) return learningRate * ((index + 1) / warmupSteps);
  return learningRate * (1 - (1 - floor) * fallen(kind, { index, warmupSteps, steps }));
}

/** Share of the way from peak to floor that is behind a step. */
function fallen(
  kind: RateSchedule["kind"],
  at: { readonly index: number; readonly warmupSteps: number; readonly steps: number },
): number {
  const { index, warmupSteps, steps } = at;
  const progress = (index - warmupSteps) / (steps - warmupSteps);
  switch (kind) {
    case "constant":
      return 0;
    case "linear":
      return progress;
    case "cosine":
      return (1 - Math.cos(Math.PI * progress)) / 2;
    case "wsd": {
      const decay = Math.min(steps - warmupSteps, Math.ceil(DECAY_SHARE * steps));
      return Math.max(0, (index - steps + decay) / decay);
    }
  }
}
