/**
 * The tables of `bench --profile`: each kernel's time against what the machine allows.
 * @module
 */
import { type Rates, rooflineOf } from "../../report/roofline.ts";
import { percent, table } from "../print.ts";
import type { KernelTime, Measured } from "./measure.ts";

/** Peaks that differ by more than this are both told. */
const STEADY = 0.03;

/**
 * The table of `--profile`.
 * @param measured Kernels' times
 * @param peaks The machine's rates before and after the steps; none where there is no compiler to measure them
 */
export function profileTable(measured: Measured, peaks: readonly Rates[]): string {
  const { kernels, secondsPerStep } = measured;
  if (kernels.length === 0) return "this target does not measure its kernels";
  const rates = bestOf(peaks);
  const rows = kernels.map((kernel) => {
    const { gflops, gbytes, share, bound } = rooflineOf(kernel, rates);
    return [
      kernel.kernel,
      `${kernel.calls}`,
      (1000 * kernel.seconds).toFixed(2),
      percent(kernel.seconds / secondsPerStep),
      waiting(kernel.worked, kernel.seconds),
      gflops.toFixed(1),
      gbytes.toFixed(1),
      percent(share),
      bound,
    ];
  });
  const sum = (value: (kernel: KernelTime) => number) =>
    kernels.reduce((total, kernel) => total + value(kernel), 0);
  const seconds = sum((kernel) => kernel.seconds);
  const total = [
    "all kernels",
    `${sum(({ calls }) => calls)}`,
    (1000 * seconds).toFixed(2),
    percent(seconds / secondsPerStep),
    waiting(sum(({ worked }) => worked), seconds),
    (sum(({ flops, calls }) => flops * calls) / seconds / 1e9).toFixed(1),
    (sum(({ bytes, calls }) => bytes * calls) / seconds / 1e9).toFixed(1),
    percent(sum((kernel) => rooflineOf(kernel, rates).share * kernel.seconds) / seconds),
    "",
  ];
  const head = ["kernel", "calls", "ms a step", "of step", "waiting", "GFLOP/s", "GB/s"];
  return [
    table([[...head, "of roofline", "bound"], ...rows, total]),
    "",
    `model FLOPs ${
      percent(measured.flopsPerSecond / rates.flopsPerSecond)
    } of the peak (before to after the steps: ${peaksText(peaks)})`,
  ].join("\n");
}

/** A thread that the system stopped right before a call makes the others' work seem longer than the call: that is no wait. */
function waiting(worked: number, seconds: number): string {
  return percent(Math.max(0, 1 - worked / seconds));
}

/**
 * The higher rates of several measurements: other processes can only have made one lower.
 * @param peaks Measurements
 */
export function bestOf(peaks: readonly Rates[]): Rates {
  return {
    flopsPerSecond: Math.max(...peaks.map(({ flopsPerSecond }) => flopsPerSecond)),
    bytesPerSecond: Math.max(...peaks.map(({ bytesPerSecond }) => bytesPerSecond)),
  };
}

/**
 * The peak for a person: `87.1 to 93.0 GFLOP/s` where it moved between before the steps and after them.
 * @param peaks Measurements in order of time
 */
export function peaksText(peaks: readonly Rates[]): string {
  const one = (values: readonly number[], unit: string) => {
    const low = Math.min(...values), high = Math.max(...values);
    const text = (value: number) => (value / 1e9).toFixed(1);
    return high - low > STEADY * high
      ? `${values.map(text).join(" to ")} ${unit}`
      : `${text(high)} ${unit}`;
  };
  return `${one(peaks.map((peak) => peak.flopsPerSecond), "GFLOP/s")}, ${
    one(peaks.map((peak) => peak.bytesPerSecond), "GB/s")
  }`;
}
