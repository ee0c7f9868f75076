/**
 * A run's figures and settings as rows of words: what tiles and tables show, and what two runs are compared by.
 * @module
 */
import type { RunHistory } from "./history.ts";
import { duration, grouped, megabytes, percent } from "./numbers.ts";
import type { RunRecord } from "./record.ts";

/** A name and what it is. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** A run as its folder has it. */
export interface ReadRun {
  /** What it is called on pages. */
  readonly label: string;
  readonly history: RunHistory;
  readonly record: RunRecord | undefined;
}

/**
 * What a run came to.
 * @param run The run
 */
export function resultsOf({ history, record }: ReadRun): Fact[] {
  const { steps, evaluations, planned } = history;
  const final = steps.slice(-Math.max(1, Math.ceil(steps.length / 20)));
  const loss = final.reduce((sum, step) => sum + step.loss, 0) / final.length;
  const facts: Fact[] = [
    { name: "steps", value: stepsText(steps[steps.length - 1].step, planned) },
    { name: final.length === 1 ? "last loss" : `loss, last ${final.length}`, value: fixed(loss) },
  ];
  if (evaluations.length > 0) {
    const best = evaluations.reduce((least, { loss }) => Math.min(least, loss), Infinity);
    facts.push({ name: "best validation", value: fixed(best) });
  }
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0);
  if (seconds > 0) facts.push({ name: "tokens/s", value: grouped(tokens / seconds) });
  const share = shareOfPeak({ history, record });
  if (share !== undefined) facts.push({ name: "of peak arithmetic", value: percent(share) });
  const resident = steps.map(({ residentBytes = 0 }) => residentBytes);
  const most = resident.reduce((a, b) => Math.max(a, b), 0);
  if (most > 0) facts.push({ name: "memory at most", value: megabytes(most) });
  facts.push({ name: "time in steps", value: duration(seconds) });
  facts.push({ name: "tokens", value: grouped(tokens) });
  return facts;
}

function stepsText(done: number, planned: number): string {
  return planned > done ? `${grouped(done)} of ${grouped(planned)}` : grouped(done);
}

function fixed(loss: number): string {
  return loss.toFixed(4);
}

function shareOfPeak({ history, record }: Pick<ReadRun, "history" | "record">): number | undefined {
  const machine = record?.plan?.machine;
  if (record === undefined || machine === undefined || record.target === "reference") return;
  const seconds = history.steps.reduce((sum, step) => sum + step.seconds, 0);
  const flops = history.steps.length * record.flopsPerStep;
  return seconds > 0 ? flops / seconds / machine.flopsPerSecond : undefined;
}

/**
 * What a run was told, and where it ran.
 * @param record Its record
 */
export function settingsOf({ settings, target, plan }: RunRecord): Fact[] {
  const program: Fact[] = [{ name: "target", value: target }];
  if (plan !== undefined) {
    program.push(
      { name: "instruction set", value: plan.isa },
      { name: "threads", value: `${plan.threads}` },
      {
        name: "trained",
        value: `${grouped(plan.trained)} of ${grouped(plan.parameters)} parameters`,
      },
    );
  }
  const told = Object.entries(settings).map(([name, value]) => ({ name, value: `${value}` }));
  return [...told, ...program];
}

/**
 * The machine, and versions of what ran on it.
 * @param record A run's record
 */
export function machineOf({ machine, versions, began }: RunRecord): Fact[] {
  return [
    { name: "processor", value: machine.processor },
    { name: "cores", value: `${machine.cores}` },
    { name: "memory", value: `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB` },
    { name: "system", value: machine.system },
    ...Object.entries(versions).map(([name, value]) => ({ name, value })),
    {
      name: "begun",
      value: `${began.slice(0, 19).replace("T", " ")} UTC`,
    },
  ];
}

/**
 * The data's figures.
 * @param data A run's data
 */
export function dataOf(data: NonNullable<RunRecord["data"]>): Fact[] {
  const { train, validation, lengths, duplicates, skipped, seqLen } = data;
  const facts: Fact[] = [
    { name: "documents to train on", value: grouped(train.documents) },
    {
      name: `rows of ${seqLen} tokens`,
      value: `${grouped(train.rows)}, ${percent(train.efficiency)} full`,
    },
    {
      name: "tokens",
      value: `${grouped(train.tokens)}, ${
        percent(train.tokens === 0 ? 0 : train.supervised / train.tokens)
      } of them learnt`,
    },
    {
      name: "tokens of a document",
      value: `${grouped(lengths.min)} to ${grouped(lengths.max)}, half up to ${
        grouped(lengths.median)
      }, 95 % up to ${grouped(lengths.p95)}`,
    },
  ];
  if (validation !== undefined) {
    facts.push({ name: "documents to validate", value: grouped(validation.documents) });
  }
  const counts: readonly [string, number][] = [
    ["cut to a row", train.truncated],
    ["with nothing to learn", train.dropped],
    ["duplicates", duplicates],
    ["bad rows passed over", skipped],
  ];
  for (const [name, count] of counts) if (count > 0) facts.push({ name, value: grouped(count) });
  return facts;
}
