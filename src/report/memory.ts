/**
 * The memory plan on the page: what lives for good, and activations call by call, as stacked areas.
 * @module
 */
import { linearAxis, type Tick } from "./axis.ts";
import { megabytes } from "./numbers.ts";
import type { PlanRecord } from "./record.ts";

/** One kind of bytes at the peak. */
export interface MemoryRow {
  readonly kind: string;
  readonly bytes: string;
  /** Of the arena, 0 to 100. */
  readonly width: number;
}

/** An area of the chart. */
export interface MemoryArea {
  /** Which of them, from 1, for its colour. */
  readonly number: number;
  readonly name: string;
  readonly path: string;
}

/** What the page shows of the plan's memory. */
export interface MemoryView {
  readonly rows: readonly MemoryRow[];
  readonly arena: string;
  /** "" where weights are not mapped. */
  readonly mapped: string;
  /** None where nothing comes and goes. */
  readonly chart: {
    readonly areas: readonly MemoryArea[];
    readonly yTicks: readonly Tick[];
    /** Where phases begin. */
    readonly phases: readonly Tick[];
    /** Height of the arena's end. */
    readonly arena: number;
  } | undefined;
}

/** The chart's plot within its box of 640 by 260. */
export const MEMORY_PLOT = { left: 56, right: 624, top: 14, bottom: 222 } as const;

/** Points of an area's edge at most: those between are not seen. */
const MAX_POINTS = 560;

/** Kinds that live for good with an area each, at most; and the share of the arena from which on one is seen. */
const [LASTING, SEEN] = [5, 0.005];

/** Kinds of the peak that come and go. */
const PASSING = ["kept activations", "passing activations", "gaps"];

/**
 * What there is to see of a plan's memory.
 * @param plan The plan
 */
export function memoryView(plan: PlanRecord): MemoryView {
  const { arenaBytes, mappedWeightBytes, peak } = plan;
  const rows = Object.entries(peak).filter(([, bytes]) => bytes > 0).toSorted((a, b) => b[1] - a[1])
    .map(([kind, bytes]) => ({
      kind,
      bytes: megabytes(bytes),
      width: arenaBytes === 0 ? 0 : Math.round(1000 * bytes / arenaBytes) / 10,
    }));
  return {
    rows,
    arena: megabytes(arenaBytes),
    mapped: mappedWeightBytes === 0 ? "" : megabytes(mappedWeightBytes),
    chart: chartOf(plan),
  };
}

function chartOf({ peak, activations, arenaBytes }: PlanRecord): MemoryView["chart"] {
  const { phases, kept, passing } = activations;
  const calls = Math.min(kept.length, passing.length);
  if (calls === 0) return undefined;
  const { left, right, top, bottom } = MEMORY_PLOT;
  const y = linearAxis(arenaBytes / 1e6, { from: bottom, to: top });
  const x = (call: number) => left + call / calls * (right - left);
  const { names, bytes: lasting } = lastingOf(peak, arenaBytes);
  const base = lasting[lasting.length - 1] ?? 0;
  const levels = [
    ...names.map((name, i) => ({ name, values: kept.map(() => lasting[i]) })),
    { name: "kept activations", values: kept.map((bytes) => base + bytes) },
    { name: "passing activations", values: kept.map((bytes, i) => base + bytes + passing[i]) },
  ];
  const heights = levels.map(({ values }) => widest(values.slice(0, calls)));
  const areas = levels.map(({ name }, i) => ({
    number: i + 1,
    name,
    path: areaPath(heights[i], i === 0 ? undefined : heights[i - 1], {
      x: (point) => x(point * calls / heights[i].length),
      y: (bytes) => y.at(bytes / 1e6),
    }),
  }));
  let at = 0;
  const marks = phases.flatMap(({ phase, calls: count }) => {
    const mark = { at: Math.round(x(at)), label: phase };
    at += count;
    return count === 0 ? [] : [mark];
  });
  return { areas, yTicks: y.ticks, phases: marks, arena: y.at(arenaBytes / 1e6) };
}

/** What lives from step to step: the largest kinds, and the rest together if it is seen; bytes up to the upper edge of each. */
function lastingOf(
  peak: PlanRecord["peak"],
  arenaBytes: number,
): { readonly names: readonly string[]; readonly bytes: readonly number[] } {
  const kinds = Object.entries(peak)
    .filter(([kind, bytes]) => bytes > 0 && !PASSING.includes(kind)).toSorted((a, b) =>
      b[1] - a[1]
    );
  const own = kinds.filter(([, bytes], i) => i < LASTING && bytes >= SEEN * arenaBytes);
  const rest = kinds.slice(own.length).reduce((sum, [, bytes]) => sum + bytes, 0);
  const shown = rest < SEEN * arenaBytes ? own : [...own, ["others", rest] as const];
  let sum = 0;
  return { names: shown.map(([kind]) => kind), bytes: shown.map(([, bytes]) => sum += bytes) };
}

/** Fewer values: of several, the greatest, since the peak is what a plan is about. */
function widest(values: readonly number[]): number[] {
  const points = Math.min(MAX_POINTS, values.length);
  const begin = (point: number) => Math.floor(point * values.length / points);
  return Array.from(
    { length: points },
    (_, point) => Math.max(...values.slice(begin(point), begin(point + 1))),
  );
}

/** Steps along the upper edge, and back along the lower one. */
function areaPath(
  upper: readonly number[],
  lower: readonly number[] | undefined,
  { x, y }: { readonly x: (point: number) => number; readonly y: (bytes: number) => number },
): string {
  const number = (value: number) => `${Math.round(value * 10) / 10}`;
  const edge = (values: readonly number[]) =>
    values.flatMap((bytes, i) => [
      `${number(x(i))} ${number(y(bytes))}`,
      `${number(x(i + 1))} ${number(y(bytes))}`,
    ]);
  const back = edge(lower ?? upper.map(() => 0)).toReversed();
  return `M${[...edge(upper), ...back].join("L")}Z`;
}
