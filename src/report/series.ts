/**
 * The curves of the page's charts: of one run, or of several side by side.
 * @module
 */
import type { RunHistory, StepPoint } from "./history.ts";

/** Points of a curve at most: more are neither seen nor worth a page of megabytes. */
const MAX_POINTS = 1500;

/** The smoothed loss follows about this many parts of a run. */
const SMOOTH_PARTS = 20;

/** Colours of the page's styles. */
const COLOURS = 8;

/**
 * The colour of a run among others, from 1: they come round again.
 * @param run Its number, from 0
 */
export function colourOf(run: number): number {
  return run % COLOURS + 1;
}

/** Where the points of some curves lie. */
export interface SeriesAxis {
  readonly steps: readonly number[];
  /** Seconds since the run began. */
  readonly at: readonly number[];
}

/** A curve. */
export interface ChartLine {
  /** Its chart. */
  readonly chart: string;
  readonly label: string;
  /** Which of the page's colours, from 1. */
  readonly colour: number;
  readonly style: "line" | "faint" | "points";
  /** Which of the axes. */
  readonly axis: number;
  readonly values: readonly number[];
}

/** A chart. */
export interface ChartHead {
  readonly id: string;
  readonly title: string;
}

/** All that the page's script draws. */
export interface PageSeries {
  readonly charts: readonly ChartHead[];
  readonly axes: readonly SeriesAxis[];
  readonly lines: readonly ChartLine[];
  /** Steps that the mean of a point is over, at most. */
  readonly perPoint: number;
}

/** A run with the name that its curves get. */
export interface NamedHistory {
  readonly label: string;
  readonly history: RunHistory;
}

interface Curve {
  readonly chart: string;
  readonly label: string;
  readonly of: (point: StepPoint, index: number) => number | undefined;
  readonly style: ChartLine["style"];
}

const CHARTS: readonly ChartHead[] = [
  { id: "loss", title: "Loss" },
  { id: "validation", title: "Validation loss" },
  { id: "learningRate", title: "Learning rate" },
  { id: "gradNorm", title: "Gradient norm, before clipping" },
  { id: "tokensPerSecond", title: "Tokens per second" },
  { id: "memory", title: "Memory in use (MB)" },
];

/**
 * The curves of runs. A single one shows its losses together; several have a chart for the loss and one for the validation loss.
 * @param runs The runs; one at least
 */
export function seriesOf(runs: readonly NamedHistory[]): PageSeries {
  const axes: SeriesAxis[] = [], lines: ChartLine[] = [];
  const alone = runs.length === 1;
  runs.forEach(({ label, history }, i) => {
    const { steps, evaluations } = history;
    axes.push({
      steps: thin(steps, last(({ step }) => step)),
      at: thin(steps, last(({ at }) => at)),
    });
    const curves = alone ? curvesAlone(steps) : curvesBeside(steps, label);
    for (const { of, ...curve } of curves) {
      if (steps.some((point, i) => of(point, i) === undefined)) continue;
      const values = thin(steps, mean((point, i) => of(point, i) ?? 0));
      lines.push({ ...curve, values, axis: axes.length - 1, colour: colourOf(i) });
    }
    if (evaluations.length === 0) return;
    axes.push({ steps: evaluations.map(({ step }) => step), at: evaluations.map(({ at }) => at) });
    lines.push({
      chart: alone ? "loss" : "validation",
      label: alone ? "validation" : label,
      colour: alone ? 2 : colourOf(i),
      style: "points",
      axis: axes.length - 1,
      values: evaluations.map(({ loss }) => rounded(loss)),
    });
  });
  const used = CHARTS.filter(({ id }) => lines.some(({ chart }) => chart === id));
  const longest = Math.max(...runs.map(({ history }) => history.steps.length));
  return { charts: used, axes, lines, perPoint: Math.max(1, Math.ceil(longest / MAX_POINTS)) };
}

function curvesAlone(steps: readonly StepPoint[]): Curve[] {
  const smooth = smoothed(steps.map(({ loss }) => loss));
  return [
    { chart: "loss", label: "each step", style: "faint", of: ({ loss }) => loss },
    { chart: "loss", label: "smoothed", style: "line", of: (_, i) => smooth[i] },
    ...others(""),
  ];
}

function curvesBeside(steps: readonly StepPoint[], label: string): Curve[] {
  const smooth = smoothed(steps.map(({ loss }) => loss));
  return [{ chart: "loss", label, style: "line", of: (_, i) => smooth[i] }, ...others(label)];
}

/** Every curve but the loss; alone in their charts they need no name beside the chart's. */
function others(label: string): Curve[] {
  const curve = (chart: string, name: string, of: Curve["of"]): Curve => ({
    ...{ chart, of, style: "line" },
    label: label === "" ? name : label,
  });
  return [
    curve("learningRate", "rate", ({ learningRate }) => learningRate),
    curve("gradNorm", "norm", ({ gradNorm }) => gradNorm),
    curve("tokensPerSecond", "tokens/s", ({ tokensPerSecond }) => tokensPerSecond),
    curve(
      "memory",
      "MB",
      ({ residentBytes }) => residentBytes === undefined ? undefined : residentBytes / 1e6,
    ),
  ];
}

/** An exponential mean, corrected for its begin. */
function smoothed(values: readonly number[]): number[] {
  const weight = 2 / (Math.max(1, values.length / SMOOTH_PARTS) + 1);
  let sum = 0, total = 0;
  return values.map((value) => {
    sum = (1 - weight) * sum + weight * value;
    total = (1 - weight) * total + weight;
    return sum / total;
  });
}

type Reduce = (steps: readonly StepPoint[], begin: number, end: number) => number;

function last(of: (point: StepPoint) => number): Reduce {
  return (steps, _, end) => rounded(of(steps[end - 1]));
}

function mean(of: (point: StepPoint, index: number) => number): Reduce {
  return (steps, begin, end) => {
    let sum = 0;
    for (let i = begin; i < end; i++) sum += of(steps[i], i);
    return rounded(sum / (end - begin));
  };
}

/** As many parts as a curve may have points, each reduced to one. */
function thin(steps: readonly StepPoint[], reduce: Reduce): number[] {
  const points = Math.min(MAX_POINTS, steps.length);
  const begin = (point: number) => Math.floor(point * steps.length / points);
  return Array.from({ length: points }, (_, i) => reduce(steps, begin(i), begin(i + 1)));
}

function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
