/**
 * Axes of the charts that are drawn ahead, as SVG: from values to places, and the values that get a mark.
 * @module
 */

/** A mark on an axis. */
export interface Tick {
  /** Where it is. */
  readonly at: number;
  readonly label: string;
}

/** An axis. */
export interface Axis {
  readonly at: (value: number) => number;
  readonly ticks: readonly Tick[];
}

/** From where to where an axis is drawn; the other way round upwards. */
interface Extent {
  readonly from: number;
  readonly to: number;
}

/** Thousandths of a unit are as good as the eye sees. */
function place(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/**
 * A logarithmic axis over whole powers.
 * @param values What it must hold, all above 0; one at least
 * @param options Its ends, and the base of its powers
 */
export function logAxis(
  values: readonly number[],
  { from, to, base }: Extent & { readonly base: number },
): Axis {
  const log = (value: number) => Math.log(value) / Math.log(base);
  const low = Math.floor(log(Math.min(...values)) + 1e-9);
  const high = Math.max(Math.ceil(log(Math.max(...values)) - 1e-9), low + 1);
  const at = (value: number) => place(from + (log(value) - low) / (high - low) * (to - from));
  const skip = Math.ceil((high - low) / 10);
  const powers = Array.from(
    { length: Math.floor((high - low) / skip) + 1 },
    (_, i) => base ** (low + i * skip),
  );
  return { at, ticks: powers.map((value) => ({ at: at(value), label: short(value) })) };
}

/**
 * A linear axis from 0 with round marks.
 * @param highest What it must hold
 * @param options Its ends
 */
export function linearAxis(highest: number, { from, to }: Extent): Axis {
  const step = niceStep(highest / 4);
  const count = Math.max(1, Math.ceil(highest / step - 1e-9));
  const at = (value: number) => place(from + value / (count * step) * (to - from));
  const values = Array.from({ length: count + 1 }, (_, i) => i * step);
  return { at, ticks: values.map((value) => ({ at: at(value), label: short(value) })) };
}

/** The least of 1, 2, 2.5, 5 times a power of ten that is not below. */
function niceStep(rough: number): number {
  if (!(rough > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ??
    10 * power;
}

/** `0.25`, `8192`, `10k`, `2M`. */
function short(value: number): string {
  if (value >= 1e6) return `${round(value / 1e6)}M`;
  if (value >= 1e4) return `${round(value / 1e3)}k`;
  return `${round(value)}`;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
