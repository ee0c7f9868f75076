/**
 * Curves: the values of the run, thinned where there are too many.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { readHistory } from "../../src/report/history.ts";
import { seriesOf } from "../../src/report/series.ts";
import { RunFolder } from "./fixture.ts";

function historyOf(steps: number) {
  using run = new RunFolder({ steps, loss: (step) => step });
  return readHistory(run.dir);
}

Deno.test("a run alone: each curve has the run's values, losses share a chart", () => {
  const { charts, axes, lines, perPoint } = seriesOf([{ label: "a", history: historyOf(40) }]);
  equal(perPoint, 1);
  deepEqual(charts.map(({ id }) => id), [
    ...["loss", "learningRate", "gradNorm", "tokensPerSecond", "memory"],
  ]);
  const steps = Array.from({ length: 40 }, (_, i) => i + 1);
  deepEqual(axes[0], { steps, at: steps.map((step) => step / 2) });
  const loss = lines.filter(({ chart }) => chart === "loss");
  deepEqual(loss.map(({ label }) => label), ["each step", "smoothed", "validation"]);
  deepEqual(loss[0].values, steps);
  deepEqual(axes[loss[2].axis].steps, [10, 20, 30, 40]);
  deepEqual(loss[2].values, [11, 21, 31, 41]);
});

Deno.test("the smoothed loss is a mean of what came before: no bias at the begin, and it follows", () => {
  const [, smooth] = seriesOf([{ label: "a", history: historyOf(40) }]).lines;
  equal(smooth.values[0], 1);
  smooth.values.slice(1).forEach((value, i) => {
    const step = i + 2;
    ok(value > smooth.values[i] && value < step && step - value < 2, `step ${step}: ${value}`);
  });
});

Deno.test("a long run has no more points than are seen, and no step is left out of them", () => {
  const { axes: [{ steps }], lines: [loss], perPoint } = seriesOf([
    { label: "a", history: historyOf(4000) },
  ]);
  equal(steps.length, 1500);
  equal(steps[steps.length - 1], 4000);
  equal(perPoint, 3);
  const sizes = steps.map((step, i) => step - (steps[i - 1] ?? 0));
  const sum = loss.values.reduce((total, value, i) => total + value * sizes[i], 0);
  ok(Math.abs(sum / (4000 * 4001 / 2) - 1) < 1e-6, `${sum}`);
});

Deno.test("runs side by side: a curve each, in a colour each, and a chart of validation", () => {
  const runs = ["a", "b", "c"].map((label, i) => ({ label, history: historyOf(20 + i) }));
  const { charts, lines } = seriesOf(runs);
  ok(charts.some(({ id }) => id === "validation"));
  for (const { id } of charts) {
    const mine = lines.filter(({ chart }) => chart === id);
    deepEqual(mine.map(({ label }) => label), ["a", "b", "c"], id);
    equal(new Set(mine.map(({ colour }) => colour)).size, 3);
  }
});
