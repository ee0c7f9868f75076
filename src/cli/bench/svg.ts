/**
 * Line charts as SVG, readable on light and on dark pages: colours follow the reader's scheme.
 * @module
 */

/** A curve. */
export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** A chart: the horizontal axis is logarithmic to base 2, the vertical one linear from 0, or logarithmic to base 10. With `linearX`
 * the horizontal one is linear from 0. */
export interface Chart {
  /** Labels of the axes. */
  readonly x: string;
  readonly y: string;
  readonly logY: boolean;
  readonly linearX?: boolean;
  readonly lines: readonly Line[];
}

const WIDTH = 340, HEIGHT = 250;
/** Room around the plot for ticks and labels. */
const MARGIN = { left: 62, right: 14, top: 34, bottom: 46 } as const;
const TITLE = 30;

const STYLE = `
svg { font: 12px system-ui, sans-serif; color: #1f2328 } .page { fill: #ffffff }
text { fill: currentColor } .title { font-size: 15px; font-weight: 600 }
.grid { stroke: currentColor; opacity: 0.15 } .axis { stroke: currentColor; opacity: 0.6; fill: none }
.line { fill: none; stroke-width: 2 }
.s0 { stroke: #0969da } .s1 { stroke: #bc4c00 } .s2 { stroke: #1a7f37 }
.d0 { fill: #0969da } .d1 { fill: #bc4c00 } .d2 { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3 } .page { fill: #0d1117 }
  .s0 { stroke: #58a6ff } .s1 { stroke: #f0883e } .s2 { stroke: #3fb950 }
  .d0 { fill: #58a6ff } .d1 { fill: #f0883e } .d2 { fill: #3fb950 }
}`;

/**
 * Charts in columns.
 * @param columns Charts from top to bottom, column by column
 * @param options The title above all
 */
export function chartSvg(
  columns: readonly (readonly Chart[])[],
  options: { readonly title: string },
): string {
  const rows = Math.max(...columns.map((column) => column.length));
  const width = columns.length * WIDTH, height = TITLE + rows * HEIGHT;
  const charts = columns.flatMap((column, i) =>
    column.map((chart, j) =>
      `<g transform="translate(${i * WIDTH} ${TITLE + j * HEIGHT})">\n${chartGroup(chart)}\n</g>`
    )
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="${escaped(options.title)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    textAt(options.title, { x: width / 2, y: 20, anchor: "middle", name: "title" }),
    ...charts,
    "</svg>\n",
  ].join("\n");
}

/** From values to pixels along one axis, and the values that get a tick. */
interface Axis {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

function chartGroup(chart: Chart): string {
  const all = chart.lines.flatMap(({ points }) => points);
  const left = MARGIN.left, right = WIDTH - MARGIN.right;
  const top = MARGIN.top, bottom = HEIGHT - MARGIN.bottom;
  const places = all.map((point) => point.x);
  const x = chart.linearX === true
    ? linearAxis(places, { from: left, to: right })
    : logAxis(places, { from: left, to: right, base: 2 });
  const values = all.map((point) => point.y);
  const y = chart.logY
    ? logAxis(values, { from: bottom, to: top, base: 10 })
    : linearAxis(values, { from: bottom, to: top });
  const vertical = x.ticks.map((tick) => {
    const at = pixel(x.at(tick));
    return `<line class="grid" x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/>` +
      textAt(short(tick), { x: at, y: bottom + 16, anchor: "middle" });
  });
  const horizontal = y.ticks.map((tick) => {
    const at = pixel(y.at(tick));
    return `<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/>` +
      textAt(short(tick), { x: left - 6, y: at + 4, anchor: "end" });
  });
  const middle = (top + bottom) / 2;
  return [
    ...vertical,
    ...horizontal,
    `<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`,
    textAt(chart.x, { x: (left + right) / 2, y: HEIGHT - 12, anchor: "middle" }),
    `<g transform="rotate(-90 14 ${middle})">${
      textAt(chart.y, { x: 14, y: middle, anchor: "middle" })
    }</g>`,
    ...chart.lines.flatMap((line, i) => curve(line, { x, y, style: i % 3 })),
    ...legend(chart.lines, left),
  ].join("\n");
}

function curve(line: Line, { x, y, style }: { x: Axis; y: Axis; style: number }): string[] {
  const places = line.points.map((point) => ({ x: pixel(x.at(point.x)), y: pixel(y.at(point.y)) }));
  const path = places.map((place, i) => `${i === 0 ? "M" : "L"}${place.x} ${place.y}`).join("");
  const dots = places.map((place) =>
    `<circle class="d${style}" cx="${place.x}" cy="${place.y}" r="3"/>`
  );
  return [`<path class="line s${style}" d="${path}"/>`, ...dots];
}

/** Names above the plot, side by side. */
function legend(lines: readonly Line[], left: number): string[] {
  const step = (WIDTH - left - MARGIN.right) / lines.length;
  return lines.flatMap(({ name }, i) => [
    `<circle class="d${i % 3}" cx="${pixel(left + 6 + i * step)}" cy="18" r="4"/>`,
    textAt(name, { x: left + 14 + i * step, y: 22, anchor: "start" }),
  ]);
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function logAxis(values: readonly number[], { from, to, base }: Range & { base: number }): Axis {
  const log = (value: number) => Math.log(value) / Math.log(base);
  const low = Math.floor(log(Math.min(...values)) + 1e-9);
  const high = Math.max(Math.ceil(log(Math.max(...values)) - 1e-9), low + 1);
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => base ** (low + i));
  return { ticks, at: (value) => from + (log(value) - low) / (high - low) * (to - from) };
}

function linearAxis(values: readonly number[], { from, to }: Range): Axis {
  const highest = Math.max(...values, 1e-9);
  const rough = highest / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ??
    10 * power;
  const count = Math.ceil(highest / step - 1e-9);
  const ticks = Array.from({ length: count + 1 }, (_, i) => i * step);
  return { ticks, at: (value) => from + value / (count * step) * (to - from) };
}

function textAt(
  text: string,
  place: { x: number; y: number; anchor: "start" | "middle" | "end"; name?: string },
): string {
  const style = place.name === undefined ? "" : ` class="${place.name}"`;
  return `<text${style} x="${pixel(place.x)}" y="${pixel(place.y)}" text-anchor="${place.anchor}">${
    escaped(text)
  }</text>`;
}

function pixel(value: number): number {
  return Math.round(value * 10) / 10;
}

/** `8192`, `10k`, `2M`: whole thousands from ten thousand on. */
function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  if (value >= 1e4) return `${value / 1e3}k`;
  return `${Math.round(value * 100) / 100}`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
