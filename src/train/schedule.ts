/**
 * How the learning rate changes over a run: linear warm-up, then constant or half a cosine down to a floor.
 * @module
 */
import { invariant } from "../errors.ts";
import type { ScheduleSettings } from "./engine.ts";

/** What {@linkcode learningRateAt} needs beside the step. */
export interface RateSettings {
  /** Steps of the whole run. */
  readonly steps: number;
  /** The highest rate. */
  readonly learningRate: number;
  /** Warm-up, shape and floor. */
  readonly schedule: ScheduleSettings;
}

/**
 * The learning rate of a step. With w warm-up steps of n and i = step-1: peak·(i+1)/w while i < w, so that no step is
 * wasted on a rate of 0; then, for cosine, peak·(1 - (1-floor)·(1-cos(π·(i-w)/(n-w)))/2).
 * @param step From 1 to `steps`
 * @param settings Length of the run, peak and shape
 */
export function learningRateAt(step: number, settings: RateSettings): number {
  const { steps, learningRate, schedule: { kind, warmup, floor } } = settings;
  invariant(step >= 1 && step <= steps, `step ${step} is outside 1 to ${steps}`);
  const index = step - 1;
  const warmupSteps = Math.min(steps, Math.ceil(warmup * steps));
  if (index < warmupSteps) return learningRate * ((index + 1) / warmupSteps);
  if (kind === "constant") return learningRate;
  const progress = (index - warmupSteps) / (steps - warmupSteps);
  return learningRate * (1 - (1 - floor) * (1 - Math.cos(Math.PI * progress)) / 2);
}
