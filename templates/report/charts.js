// Draws the page's curves with uPlot, from the JSON in the element "series"; in the colours of the page, whatever they become.
"use strict";

const { axes, lines } = JSON.parse(document.getElementById("series").textContent);
const root = document.documentElement;
const HEIGHT = 210;
/** Width of a chart on paper: two of them stand beside each other. */
const PRINTED = 330;

const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const colourOf = (line) => colour(`--c${line.colour}`);

const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
function text(value) {
  if (value == null) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e");
  return size >= 1e4 ? short.format(value) : String(Number(value.toPrecision(5)));
}

function clock(seconds) {
  if (seconds == null) return "–";
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 7200) return `${Number((seconds / 60).toFixed(1))} min`;
  return `${Number((seconds / 3600).toFixed(1))} h`;
}

function seriesOf(line) {
  const stroke = () => colourOf(line);
  if (line.style === "points") {
    return {
      label: line.label,
      stroke,
      width: 1.5,
      points: { show: true, size: 7, fill: () => colour("--paper") },
      spanGaps: true,
    };
  }
  const faint = line.style === "faint";
  return {
    label: line.label,
    stroke: () => `${colourOf(line)}${faint ? "66" : ""}`,
    width: faint ? 1 : 2,
    points: { show: false },
    spanGaps: true,
  };
}

function draw(figure, by) {
  const mine = lines.filter((line) => line.chart === figure.dataset.chart);
  const tables = mine.map((line) => [axes[line.axis][by], line.values]);
  const axis = (more) => ({
    stroke: () => colour("--soft"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { stroke: () => colour("--line"), width: 1 },
    ...more,
  });
  const show = by === "at" ? clock : text;
  // Where nothing is pointed at, the legend has the last values.
  const rest = (plot) => {
    if (plot.cursor.idx == null) plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  };
  return new uPlot(
    {
      width: figure.clientWidth,
      height: HEIGHT,
      scales: { x: { time: false } },
      cursor: { sync: { key: by } },
      hooks: { ready: [rest], setLegend: [rest] },
      series: [
        { label: by === "at" ? "time" : "step", value: (_, value) => show(value) },
        ...mine.map((line) => ({ ...seriesOf(line), value: (_, value) => text(value) })),
      ],
      axes: [
        axis({ values: (_, values) => values.map(show) }),
        axis({ size: 58, values: (_, values) => values.map(text) }),
      ],
    },
    tables.length === 1 ? tables[0] : uPlot.join(tables),
    figure,
  );
}

const figures = [...document.querySelectorAll(".chart")];
let plots = [];
function drawAll() {
  const by = document.querySelector("input[name=axis]:checked").value;
  for (const plot of plots) plot.destroy();
  plots = figures.map((figure) => draw(figure, by));
}
drawAll();
for (const input of document.querySelectorAll("input[name=axis]")) {
  input.addEventListener("change", drawAll);
}

const fit = (width) => {
  plots.forEach((plot, i) => {
    const wanted = width ?? figures[i].clientWidth;
    if (wanted > 0 && wanted !== plot.width) plot.setSize({ width: wanted, height: HEIGHT });
  });
};
const observer = new ResizeObserver(() => fit());
for (const figure of figures) observer.observe(figure);

const recolour = () => plots.forEach((plot) => plot.redraw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
addEventListener("beforeprint", () => {
  root.dataset.print = "";
  for (const details of document.querySelectorAll("details")) details.open = true;
  fit(PRINTED);
  recolour();
});
addEventListener("afterprint", () => {
  delete root.dataset.print;
  fit();
  recolour();
});
root.dataset.drawn = String(plots.length);
