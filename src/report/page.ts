/**
 * The two pages: the report of a run, and runs side by side.
 * @module
 */
import { dataOf, machineOf, type ReadRun, resultsOf, settingsOf } from "./facts.ts";
import { readHistory, type RunHistory } from "./history.ts";
import { kernelsView, ROOF_PLOT } from "./kernels.ts";
import { MEMORY_PLOT, memoryView } from "./memory.ts";
import { grouped } from "./numbers.ts";
import { type DataRecord, readRecord, type RunRecord } from "./record.ts";
import { renderPage } from "./render.ts";
import { colourOf, seriesOf } from "./series.ts";

/**
 * Reads a run from its folder.
 * @param folder The folder
 * @param label What it is called on pages
 * @throws {PacacError} io, run-invalid
 */
export function readRun(folder: string, label: string): ReadRun {
  return { label, history: readHistory(folder), record: readRecord(folder) };
}

/**
 * The report of a run, as HTML.
 * @param run The run
 */
export function runPage(run: ReadRun): string {
  const { history, record, label } = run;
  const { evaluations, skipped, end } = history;
  return renderPage("run.html.njk", {
    title: record?.name ?? label,
    label,
    end,
    results: resultsOf(run),
    evaluations: evaluations.map(({ step, loss }) => ({ step, loss: loss.toFixed(4) })),
    skipped,
    samples: samplesOf(history),
    kernels: kernelsOf(record),
    memory: record?.plan === undefined ? null : memoryView(record.plan),
    plots: { roof: ROOF_PLOT, memory: MEMORY_PLOT },
    data: record?.data === undefined ? null : dataView(record.data),
    record: record === undefined ? null : {
      settings: settingsOf(record),
      machine: machineOf(record),
      command: record.command,
    },
  }, seriesOf([run]));
}

function kernelsOf(record: RunRecord | undefined): object | null {
  if (record?.profile === undefined) return null;
  const { chart, ...view } = kernelsView(record.profile, record.plan);
  return view.rows.length === 0 ? null : { ...view, chart: chart ?? null };
}

interface SampleView {
  readonly prompt: string;
  readonly expected: string;
  /** Answers in the order of steps. */
  readonly answers: readonly { readonly when: string; readonly text: string }[];
}

/** By prompt: the first answer, and the last where there is a later one. */
function samplesOf({ samples }: RunHistory): SampleView[] {
  return [...Map.groupBy(samples, ({ sample }) => sample).values()].map((group) => {
    const [first] = group, latest = group[group.length - 1];
    const shown = latest.step > first.step ? [first, latest] : [first];
    return {
      prompt: first.prompt,
      expected: first.expected,
      answers: shown.map(({ step, text }) => ({
        when: step === 0 ? "before" : `after step ${grouped(step)}`,
        text,
      })),
    };
  });
}

function dataView(data: DataRecord): object {
  const most = Math.max(1, ...data.histogram.map(({ documents }) => documents));
  return {
    facts: dataOf(data),
    files: data.files.map(({ file, format, container, rows, documents, sha256 }) => ({
      ...{ file, format, container },
      rows: grouped(rows),
      documents: grouped(documents),
      hash: sha256.slice(0, 12),
    })),
    histogram: data.histogram.map(({ from, to, documents }) => ({
      range: `${grouped(from)} to ${grouped(to - 1)}`,
      documents: grouped(documents),
      width: Math.round(1000 * documents / most) / 10,
    })),
  };
}

/**
 * Runs side by side, as HTML.
 * @param runs The runs, two at least
 */
export function comparePage(runs: readonly ReadRun[]): string {
  const results = runs.map(resultsOf);
  const names = [...new Set(results.flatMap((facts) => facts.map(columnOf)))];
  return renderPage("compare.html.njk", {
    title: runs.map(({ label }) => label).join(", "),
    runs: runs.map(({ label, history }, i) => ({
      label,
      colour: colourOf(i),
      end: history.end,
      results: names.map((name) => results[i].find((fact) => columnOf(fact) === name)?.value ?? ""),
    })),
    columns: names,
    differences: differencesOf(runs),
    unknown: runs.filter(({ record }) => record === undefined).map(({ label }) => label),
  }, seriesOf(runs));
}

/** The loss of the last steps is one column, however many they are. */
function columnOf({ name }: { readonly name: string }): string {
  return /loss/.test(name) ? "last loss" : name;
}

interface Difference {
  readonly name: string;
  /** Of each run; "" where it has none. */
  readonly values: readonly string[];
}

/** Settings, flags, data, machine and versions that are not the same in all runs. */
function differencesOf(runs: readonly ReadRun[]): Difference[] {
  const all = runs.map(({ record }) =>
    new Map(
      record === undefined ? [] : [
        ...settingsOf(record),
        ...Object.entries(record.flags).map(([name, value]) => ({ name, value })),
        ...(record.data?.files ?? []).map(({ file, sha256 }, i) => ({
          name: `data ${i + 1}`,
          value: `${file} (${sha256.slice(0, 12)})`,
        })),
        ...machineOf(record).filter(({ name }) => name !== "begun"),
      ].map(({ name, value }) => [name, value]),
    )
  );
  const names = [...new Set(all.flatMap((facts) => [...facts.keys()]))];
  return names.map((name) => ({ name, values: all.map((facts) => facts.get(name) ?? "") }))
    .filter(({ values }) => new Set(values).size > 1);
}
