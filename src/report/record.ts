/**
 * What a report shows of a run beside its events: the file report.json in the run's folder, from which the page is made again at
 * any time. What the run needs to go on is not in it; that is run.json.
 * @module
 */
import { z } from "zod";
import { PacacError } from "../errors.ts";
import { publishText } from "../formats/atomic.ts";
import { fileSize, join, readJson } from "../formats/files.ts";

const FILE = "report.json";

const count = z.number().nonnegative();

/** Of plan.json, what a report shows; a program of the reference target has no activations. */
const planSchema = z.object({
  isa: z.string(),
  threads: count,
  parameters: count,
  trained: count,
  tokens: count,
  arenaBytes: count,
  mappedWeightBytes: count,
  peak: z.record(z.string(), z.number()),
  predictedSeconds: count,
  machine: z.object({
    processor: z.string(),
    flopsPerSecond: z.number().positive(),
    bytesPerSecond: z.number().positive(),
    measured: z.boolean(),
  }),
  activations: z.object({
    phases: z.array(z.object({ phase: z.string(), calls: count })),
    kept: z.array(count),
    passing: z.array(count),
  }),
});

const packSchema = z.object({
  documents: count,
  rows: count,
  tokens: count,
  supervised: count,
  truncated: count,
  dropped: count,
  efficiency: count,
});

const dataSchema = z.object({
  seqLen: count,
  train: packSchema,
  validation: packSchema.optional(),
  duplicates: count,
  skipped: count,
  lengths: z.object({ min: count, median: count, p95: count, max: count }),
  histogram: z.array(z.object({ from: count, to: count, documents: count })),
  files: z.array(z.object({
    file: z.string(),
    format: z.string(),
    container: z.string(),
    rows: count,
    documents: count,
    sha256: z.string(),
  })),
});

const kernelSchema = z.object({
  kernel: z.string(),
  /** All calls of the steps that were counted. */
  calls: count,
  seconds: count,
  /** Of one call. */
  flops: count,
  bytes: count,
});

const recordSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  target: z.string(),
  /** ISO 8601. */
  began: z.iso.datetime(),
  /** As typed in a shell, to do the same again. */
  command: z.string(),
  /** All that was asked for, by name; not on the page, where the command has it, but in what runs differ by. */
  flags: z.record(z.string(), z.string()),
  /** By name, in the order in which they are shown. */
  settings: z.record(z.string(), z.union([z.string(), z.number()])),
  versions: z.record(z.string(), z.string()),
  machine: z.object({
    processor: z.string(),
    cores: count,
    memoryBytes: count,
    system: z.string(),
  }),
  /** Of a step: all micro-batches. */
  flopsPerStep: count,
  data: dataSchema.optional(),
  plan: planSchema.optional(),
  /** Times of the kernels over `steps` steps, where the target keeps them. */
  profile: z.object({ steps: count, seconds: count, kernels: z.array(kernelSchema) }).optional(),
});

/** What a run is. */
export type RunRecord = z.infer<typeof recordSchema>;
/** A program's plan, as far as a report shows it. */
export type PlanRecord = z.infer<typeof planSchema>;
/** A run's data. */
export type DataRecord = z.infer<typeof dataSchema>;
/** A kernel's time over some steps. */
export type KernelRecord = z.infer<typeof kernelSchema>;
/** Kernels' times over some steps. */
export type ProfileRecord = NonNullable<RunRecord["profile"]>;

/**
 * Writes a run's record.
 * @param folder The run's folder
 * @param record What the run is
 * @throws {PacacError} io
 */
export function writeRecord(folder: string, record: RunRecord): void {
  publishText(join(folder, FILE), `${JSON.stringify(record, undefined, 1)}\n`);
}

/**
 * Reads a run's record; undefined where the run has none, as those that were not begun by `train`.
 * @param folder The run's folder
 * @throws {PacacError} run-invalid, io
 */
export function readRecord(folder: string): RunRecord | undefined {
  return read(join(folder, FILE), recordSchema);
}

/**
 * Reads what `compile` wrote of a program's plan; undefined where there is nothing.
 * @param folder The program's folder
 * @throws {PacacError} run-invalid, io
 */
export function readPlan(folder: string): PlanRecord | undefined {
  return read(join(folder, "plan.json"), planSchema);
}

function read<Schema extends z.ZodType>(file: string, schema: Schema): z.infer<Schema> | undefined {
  if (fileSize(file) === undefined) return undefined;
  const parsed = schema.safeParse(readJson(file, { code: "run-invalid", maxBytes: 1 << 26 }));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PacacError("run-invalid", `Cannot use the file: ${issue.message}`, {
    place: { file, field: issue.path.join(".") },
    remedy: "it was changed, or is another version's; without it the report shows less",
  });
}
