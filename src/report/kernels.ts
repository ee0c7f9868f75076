/**
 * Kernels on the page: share of the time, rates, and each as a point under the machine's roof.
 * @module
 */
import { type Axis, logAxis, type Tick } from "./axis.ts";
import { percent } from "./numbers.ts";
import type { KernelRecord, PlanRecord, ProfileRecord } from "./record.ts";
import { rooflineOf } from "./roofline.ts";

/** A line of the table. */
export interface KernelRow {
  /** From 1, by time. */
  readonly rank: number;
  readonly name: string;
  readonly calls: string;
  readonly ms: string;
  /** Of the kernels' time, 0 to 100. */
  readonly width: number;
  readonly share: string;
  readonly gflops: string;
  readonly gbytes: string;
  /** Of its roofline. */
  readonly roof: string;
  readonly bound: string;
}

/** A kernel in the chart. */
export interface RoofPoint {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** The row's number; "" where it would only be in the way. */
  readonly label: string;
  readonly title: string;
}

/** Rates against operations a byte, both logarithmic. */
export interface RoofChart {
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly points: readonly RoofPoint[];
  /** Path of the roof. */
  readonly roof: string;
}

/** What the page shows of a run's kernels. */
export interface KernelsView {
  readonly rows: readonly KernelRow[];
  /** None where nothing is known of the machine. */
  readonly chart: RoofChart | undefined;
  readonly steps: number;
  /** Kernels' time over that of the steps. */
  readonly covered: string;
  readonly peaks: string;
}

/** The chart's plot within its box of 640 by 340. */
export const ROOF_PLOT = { left: 56, right: 624, top: 14, bottom: 296 } as const;

/** Points with a number. */
const LABELLED = 9;

/**
 * What there is to see of the kernels.
 * @param profile Their times
 * @param plan The program's plan, for the machine's rates
 */
export function kernelsView(profile: ProfileRecord, plan: PlanRecord | undefined): KernelsView {
  const timed = profile.kernels.filter(({ calls, seconds }) => calls > 0 && seconds > 0)
    .toSorted((a, b) => b.seconds - a.seconds);
  const total = timed.reduce((sum, { seconds }) => sum + seconds, 0);
  const machine = plan?.machine;
  return {
    rows: timed.map((kernel, i) => rowOf(kernel, { rank: i + 1, total, profile, machine })),
    chart: machine === undefined ? undefined : chartOf(timed, { machine, total }),
    steps: profile.steps,
    covered: percent(profile.seconds > 0 ? total / profile.seconds : 0),
    peaks: machine === undefined
      ? ""
      : `${machine.measured ? "Measured" : "Assumed"} peaks: ${
        (machine.flopsPerSecond / 1e9).toFixed(1)
      } GFLOP/s, ${(machine.bytesPerSecond / 1e9).toFixed(1)} GB/s.`,
  };
}

type Machine = PlanRecord["machine"];

function rowOf(
  kernel: KernelRecord,
  { rank, total, profile, machine }: {
    readonly rank: number;
    readonly total: number;
    readonly profile: ProfileRecord;
    readonly machine: Machine | undefined;
  },
): KernelRow {
  const { calls, seconds } = kernel;
  const steps = Math.max(1, profile.steps);
  const { gflops, gbytes, share, bound } = rooflineOf(kernel, machine ?? NO_LIMIT);
  return {
    rank,
    name: nameOf(kernel),
    calls: `${Math.round(calls / steps)}`,
    ms: (1000 * seconds / steps).toFixed(2),
    width: Math.round(1000 * seconds / total) / 10,
    share: percent(seconds / total),
    gflops: gflops.toFixed(1),
    gbytes: gbytes.toFixed(1),
    roof: machine === undefined ? "" : percent(share),
    bound: machine === undefined ? "" : bound,
  };
}

const NO_LIMIT = { flopsPerSecond: Infinity, bytesPerSecond: Infinity } as const;

/** Without the hash of its text. */
function nameOf({ kernel }: KernelRecord): string {
  return kernel.replace(/_[0-9a-f]{8}$/, "");
}

function chartOf(
  kernels: readonly KernelRecord[],
  { machine, total }: { readonly machine: Machine; readonly total: number },
): RoofChart | undefined {
  // What computes nothing, such as a copy, has no place on logarithmic axes.
  const drawn = kernels.map((kernel, i) => ({ kernel, rank: i + 1 }))
    .filter(({ kernel }) => kernel.flops > 0 && kernel.bytes > 0);
  if (drawn.length === 0) return undefined;
  const intensity = ({ flops, bytes }: KernelRecord) => flops / bytes;
  const ridge = machine.flopsPerSecond / machine.bytesPerSecond;
  const { left, right, top, bottom } = ROOF_PLOT;
  const xs = [ridge, ...drawn.map(({ kernel }) => intensity(kernel))];
  const x = logAxis([...xs, Math.min(...xs) / 2, Math.max(...xs) * 2], {
    from: left,
    to: right,
    base: 2,
  });
  const rates = drawn.map(({ kernel }) => rooflineOf(kernel, machine).gflops);
  const y = logAxis([machine.flopsPerSecond / 1e9, ...rates], { from: bottom, to: top, base: 10 });
  return {
    xTicks: x.ticks,
    yTicks: y.ticks,
    roof: roofPath({ x, y }, machine),
    points: drawn.map(({ kernel, rank }, i) => ({
      x: x.at(intensity(kernel)),
      y: y.at(rates[i]),
      radius: 4 + Math.round(100 * Math.sqrt(kernel.seconds / total)) / 10,
      label: rank <= LABELLED ? `${rank}` : "",
      title: `${rank}. ${nameOf(kernel)}: ${rates[i].toFixed(1)} GFLOP/s at ${
        intensity(kernel).toFixed(2)
      } FLOP a byte`,
    })),
  };
}

/** Full bandwidth up to the ridge, full arithmetic behind it; cut at the plot's lower edge. */
function roofPath(
  { x, y }: { readonly x: Axis; readonly y: Axis },
  { flopsPerSecond, bytesPerSecond }: Machine,
): string {
  const { left, right, bottom } = ROOF_PLOT;
  const peak = y.at(flopsPerSecond / 1e9), ridge = x.at(flopsPerSecond / bytesPerSecond);
  const slope = (x.at(2) - x.at(1)) / (y.at(2) - y.at(1)); // a doubling along both axes
  const atEdge = peak + (left - ridge) / slope;
  const begin = atEdge <= bottom
    ? `${left} ${atEdge.toFixed(1)}`
    : `${(ridge + (bottom - peak) * slope).toFixed(1)} ${bottom}`;
  return `M${begin}L${ridge} ${peak}H${right}`;
}
