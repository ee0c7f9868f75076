/**
 * Axes: values land where they belong, marks are round.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { linearAxis, logAxis } from "../../src/report/axis.ts";

Deno.test("a linear axis goes from 0 to a round value that holds the highest", () => {
  const { at, ticks } = linearAxis(64.5, { from: 222, to: 14 });
  deepEqual(ticks.map(({ label }) => label), ["0", "20", "40", "60", "80"]);
  deepEqual([at(0), at(80), at(40)], [222, 14, 118]);
  deepEqual(linearAxis(0, { from: 0, to: 10 }).ticks.map(({ label }) => label), ["0", "1"]);
});

Deno.test("a logarithmic axis has whole powers, ten or so at most", () => {
  const { at, ticks } = logAxis([0.3, 250], { from: 0, to: 100, base: 10 });
  deepEqual(ticks.map(({ label }) => label), ["0.1", "1", "10", "100", "1000"]);
  deepEqual([at(0.1), at(10), at(1000)], [0, 50, 100]);
  const wide = logAxis([2 ** -20, 2 ** 20], { from: 0, to: 100, base: 2 });
  ok(wide.ticks.length <= 11, `${wide.ticks.length}`);
  equal(logAxis([8], { from: 0, to: 100, base: 2 }).at(8), 0);
});
