/**
 * `cuda:report`: what a standalone program found on a GPU, as tables.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { fileSize, readJson } from "../formats/files.ts";
import { userPath } from "../knobs.ts";
import { grouped, percent, print, table } from "./print.ts";

const rate = z.number().positive();
const count = z.number().nonnegative();
/** What is no number is null there. */
const maybe = z.number().nullable();

/** What native/cuda/standalone/report.hpp writes. */
const reportSchema = z.strictObject({
  format: z.literal("pacac-cuda-report"),
  version: z.literal(1),
  program: z.string().min(1),
  builtFor: z.string().regex(/^sm_\d+$/),
  ok: z.boolean(),
  device: z.strictObject({ name: z.string().min(1), capability: z.int().min(10).max(999) }),
  peaks: z.strictObject({ flopsPerSecond: rate, bytesPerSecond: rate }),
  step: z.strictObject({
    tokens: z.int().positive(),
    seconds: rate,
    steps: z.int().positive(),
    flops: count,
  }),
  checks: z.array(z.strictObject({
    what: z.string().min(1),
    value: maybe,
    reference: maybe,
    error: maybe,
    limit: rate,
    ok: z.boolean(),
  })).min(1),
  kernels: z.array(z.strictObject({
    name: z.string().min(1),
    calls: rate,
    seconds: rate,
    flops: count,
    bytes: count,
    vendorSeconds: rate.optional(),
  })).min(1),
});

/** A report. */
type CudaReport = z.infer<typeof reportSchema>;

/** The command. */
export function cudaReportCommand(): PlainCommand {
  return new Command()
    .argument("<file>", "What the program printed with --json")
    .action((file) => print(reportText(readReport(userPath(file))))) as unknown as PlainCommand;
}

/**
 * Reads a report.
 * @param path The file
 * @throws {PacacError} report-invalid with the field that is wrong; io
 */
function readReport(path: string): CudaReport {
  if (fileSize(path) === undefined) {
    throw new PacacError("io", "Cannot read the report: there is no such file", {
      place: { file: path },
      remedy: "name the file that ./check --json was sent to",
    });
  }
  const data = readJson(path, { code: "report-invalid" });
  const { success, data: report, error } = reportSchema.safeParse(data);
  if (success) return report;
  const [issue] = error.issues;
  throw new PacacError("report-invalid", `Cannot read the report: ${issue.message}`, {
    place: { file: path, ...(issue.path.length === 0 ? {} : { field: fieldOf(issue.path) }) },
    remedy: "run the standalone program again: ./check --json > report.json",
    cause: error,
  });
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.map((part, i) =>
    typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`
  ).join("");
}

function reportText(report: CudaReport): string {
  const { program, builtFor, device, peaks, step, checks } = report;
  const failed = checks.filter(({ ok }) => !ok);
  const rows = [
    ["program", `${program}, built for ${builtFor}`],
    ["device", `${device.name} (sm_${device.capability})`],
    ["measured peaks", `${tera(peaks.flopsPerSecond)} TFLOP/s, ${giga(peaks.bytesPerSecond)} GB/s`],
    ["step", `${(1e3 * step.seconds).toFixed(3)} ms (median of ${step.steps})`],
    ["tokens/s", grouped(step.tokens / step.seconds)],
    [
      "TFLOP/s",
      `${tera(step.flops / step.seconds)} (${
        percent(step.flops / step.seconds / peaks.flopsPerSecond)
      } of the peak)`,
    ],
    ["checks", `${checks.length}, ${failed.length === 0 ? "all hold" : `${failed.length} failed`}`],
  ];
  const faults = failed.length === 0 ? [] : [table([
    ["failed", "value", "reference", "error", "allowed"],
    ...failed.map((
      { what, value, reference, error, limit },
    ) => [what, digits(value), digits(reference), digits(error), digits(limit)]),
  ])];
  return [table(rows), ...faults, kernelTable(report)].join("\n\n");
}

function kernelTable({ kernels, peaks }: CudaReport): string {
  const all = kernels.reduce((sum, { calls, seconds }) => sum + calls * seconds, 0);
  const vendor = kernels.some(({ vendorSeconds }) => vendorSeconds !== undefined);
  const heads = [
    "kernel",
    "calls",
    "us a call",
    "of the step",
    "TFLOP/s",
    "GB/s",
    "of its roofline",
  ];
  const rows = kernels.map(({ name, calls, seconds, flops, bytes, vendorSeconds }) => {
    const floor = Math.max(flops / peaks.flopsPerSecond, bytes / peaks.bytesPerSecond);
    const own = [
      name,
      `${calls}`,
      (1e6 * seconds).toFixed(2),
      percent(calls * seconds / all),
      tera(flops / seconds),
      giga(bytes / seconds),
      percent(floor / seconds),
    ];
    if (!vendor) return own;
    return [...own, vendorSeconds === undefined ? "" : percent(vendorSeconds / seconds)];
  });
  return table([vendor ? [...heads, "of cuBLASLt's speed"] : heads, ...rows]);
}

function tera(value: number): string {
  return (value / 1e12).toFixed(2);
}

function giga(value: number): string {
  return (value / 1e9).toFixed(0);
}

function digits(value: number | null): string {
  return value === null ? "no number" : value.toPrecision(4);
}
