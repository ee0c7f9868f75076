/**
 * How the cost of a step grows with sequence length, width and depth, on llamas of random weights.
 *
 * Each point is compiled, measured in a process of its own, and told against the machine's peak of those very seconds.
 * @module
 */
import { join } from "node:path";
import { makeFolder, publishText } from "../../formats/atomic.ts";
import { llama } from "../../spec/families/llama.ts";
import { adamw, fineTune, paca } from "../../spec/fine_tune.ts";
import type { FineTuneSpec } from "../../spec/description.ts";
import { grouped, note, percent } from "../print.ts";
import { type CompileFlags, compileSpec } from "../program.ts";
import { measureApart } from "./measure.ts";
import type { Rates } from "../../report/roofline.ts";
import { bestOf } from "./roofline.ts";
import { chartSvg } from "./svg.ts";

/** What may grow. */
export type Sweep = "length" | "width" | "depth" | "all";

/** Sizes of a point. */
interface Sizes {
  readonly batch: number;
  readonly seqLen: number;
  readonly width: number;
  readonly depth: number;
}

/** A curve: what grows, and what stays. */
interface Series {
  readonly sweep: Exclude<Sweep, "all">;
  readonly name: string;
  readonly points: readonly Sizes[];
}

/** One measured point. */
export interface Point extends Sizes {
  readonly sweep: string;
  readonly series: string;
  readonly tokensPerSecond: number;
  readonly secondsPerStep: number;
  readonly cpuSecondsPerStep: number;
  readonly flopsPerStep: number;
  readonly peakShare: number;
  readonly peakRssBytes: number;
}

const LENGTHS = [128, 256, 512, 1024, 2048, 4096, 8192] as const;
const LONGEST = 8192;
const BASE = { batch: 4, seqLen: 512, width: 256, depth: 4 } as const;
const STEPS = 3;

const SERIES: readonly Series[] = [
  {
    sweep: "length",
    name: `${LONGEST} tokens a step`,
    points: LENGTHS.map((seqLen) => ({ ...BASE, batch: LONGEST / seqLen, seqLen })),
  },
  {
    sweep: "length",
    name: "one row",
    points: LENGTHS.map((seqLen) => ({ ...BASE, batch: 1, seqLen })),
  },
  {
    sweep: "width",
    name: "4 blocks, 4x512",
    points: [128, 256, 512, 1024].map((width) => ({ ...BASE, width })),
  },
  {
    sweep: "depth",
    name: "width 256, 4x512",
    points: [1, 2, 4, 8, 16, 32].map((depth) => ({ ...BASE, depth })),
  },
];

/** Heads of 64, half as many for keys and values, an MLP of 8/3 of the width: llama's proportions. */
function specOf({ batch, seqLen, width, depth }: Sizes): FineTuneSpec {
  const heads = width / 64;
  const model = llama({
    hiddenSize: width,
    intermediateSize: Math.ceil(width * 8 / 3 / 64) * 64,
    layers: depth,
    heads,
    kvHeads: Math.max(1, heads / 2),
    headDim: 64,
    vocabSize: 4096,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { type: "default" },
    tieWordEmbeddings: true,
    attentionBias: false,
    outputBias: false,
    mlpBias: false,
  });
  return fineTune({
    name: `scaling-${batch}x${seqLen}-w${width}-d${depth}`,
    model,
    adapt: paca({ rank: 16, alpha: 32, targets: TARGETS }),
    train: { batch, seqLen, optimizer: adamw({ learningRate: 1e-3 }) },
  });
}

const TARGETS = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
] as const;

/** What {@linkcode scaling} takes. */
export interface ScalingOptions {
  readonly sweep: Sweep;
  readonly flags: CompileFlags;
  /** Folder of scaling.md, scaling.svg and scaling.json. */
  readonly results: string;
}

/**
 * Measures the points and writes table, plot and data.
 * @param options What grows, how it is compiled, where the files go
 * @returns The table as Markdown
 */
export async function scaling({ sweep, flags, results }: ScalingOptions): Promise<string> {
  const series = SERIES.filter((one) => sweep === "all" || one.sweep === sweep);
  const total = series.reduce((sum, { points }) => sum + points.length, 0);
  const points: Point[] = [];
  const measured = new Map<string, Omit<Point, "sweep" | "series">>();
  for (const one of series) {
    for (const sizes of one.points) {
      const key = JSON.stringify(sizes);
      const point = measured.get(key) ?? await measurePoint(sizes, flags);
      measured.set(key, point);
      points.push({ ...point, sweep: one.sweep, series: one.name });
      const rate = `${grouped(point.tokensPerSecond)} tokens/s`;
      note(`${points.length}/${total} ${specOf(sizes).name}: ${rate}`);
    }
  }
  const markdown = scalingTable(points);
  makeFolder(results);
  const name = sweep === "all" ? "scaling" : `scaling_${sweep}`;
  publishText(join(results, `${name}.md`), `${markdown}\n`);
  publishText(join(results, `${name}.svg`), scalingPlot(points));
  publishText(join(results, `${name}.json`), `${JSON.stringify(points, null, 2)}\n`);
  note(`wrote ${name}.md, ${name}.svg and ${name}.json to ${results}`);
  return markdown;
}

async function measurePoint(
  sizes: Sizes,
  flags: CompileFlags,
): Promise<Omit<Point, "sweep" | "series">> {
  const { machineNow } = await import("../../compile.ts");
  const spec = specOf(sizes);
  const compiled = await compileSpec({ spec, path: join(flags.out ?? "", spec.name), text: "" }, {
    ...flags,
    out: join(flags.out ?? "", spec.name),
  });
  const { target, threads, info } = compiled.plan;
  const peak = () => machineNow(target.isa.name, threads, info.storage);
  const before: Rates = await peak();
  const measured = await measureApart(compiled.dir, { steps: STEPS });
  const { tokensPerSecond, secondsPerStep, cpuSecondsPerStep, flopsPerStep, peakRssBytes } =
    measured;
  const { flopsPerSecond: best } = bestOf([before, await peak()]);
  return {
    ...sizes,
    tokensPerSecond,
    secondsPerStep,
    cpuSecondsPerStep,
    flopsPerStep,
    peakShare: measured.flopsPerSecond / best,
    peakRssBytes,
  };
}

/**
 * The points as a Markdown table: time and work relative to the first point of a series stand side by side.
 * @param points In order, series after series
 */
export function scalingTable(points: readonly Point[]): string {
  const head = [
    "",
    "batch",
    "length",
    "width",
    "depth",
    "tokens/s",
    "s a step",
    "GFLOP a step",
    "work ×",
    "time ×",
    "CPU time ×",
    "GFLOP/s",
    "of peak",
    "peak RSS, MB",
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rows = points.map((point, i) => {
    const first = points.find(({ series, sweep }) =>
      series === point.series && sweep === point.sweep
    ) ?? point;
    const opens = i === points.indexOf(first);
    return line([
      opens ? `${point.sweep}: ${point.series}` : "",
      ...[point.batch, point.seqLen, point.width, point.depth].map(String),
      grouped(point.tokensPerSecond),
      point.secondsPerStep.toFixed(3),
      (point.flopsPerStep / 1e9).toFixed(1),
      (point.flopsPerStep / first.flopsPerStep).toFixed(2),
      (point.secondsPerStep / first.secondsPerStep).toFixed(2),
      (point.cpuSecondsPerStep / first.cpuSecondsPerStep).toFixed(2),
      (point.flopsPerStep / point.secondsPerStep / 1e9).toFixed(1),
      percent(point.peakShare),
      (point.peakRssBytes / 1e6).toFixed(0),
    ]);
  });
  const rule = head.map((_, i) => i === 0 ? "---" : "--:");
  return [
    "Llamas of random weights, heads of 64, PaCA r 16 on all linears, float32 storage; median of " +
    `${STEPS} steps. "work ×" and the times are relative to the first row of a series: equal figures ` +
    "mean that cost grows as work grows. CPU time is all threads' own, which other processes stretch least.",
    "",
    line(head),
    line(rule),
    ...rows,
  ].join("\n");
}

/** What grows along a chart's axis. */
const AXES = [
  { sweep: "length", label: "sequence length, tokens", at: (point: Point) => point.seqLen },
  { sweep: "width", label: "width", at: (point: Point) => point.width },
  { sweep: "depth", label: "blocks", at: (point: Point) => point.depth },
] as const;

/**
 * The points as charts: tokens/s above, share of the peak below, a column for each sweep.
 * @param points In order
 */
export function scalingPlot(points: readonly Point[]): string {
  const columns = AXES.flatMap(({ sweep, label, at }) => {
    const own = points.filter((point) => point.sweep === sweep);
    if (own.length === 0) return [];
    const lines = (value: (point: Point) => number) =>
      [...Map.groupBy(own, ({ series }) => series)].map(([name, some]) => ({
        name,
        points: some.map((point) => ({ x: at(point), y: value(point) })),
      }));
    return [[
      {
        x: label,
        y: "tokens/s",
        logY: true,
        lines: lines(({ tokensPerSecond }) => tokensPerSecond),
      },
      { x: label, y: "share of peak, %", logY: false, lines: lines((p) => 100 * p.peakShare) },
    ]];
  });
  return chartSvg(columns, { title: "Training speed against size" });
}
