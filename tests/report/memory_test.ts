/**
 * The memory plan as areas: heights against bytes.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { MEMORY_PLOT, memoryView } from "../../src/report/memory.ts";
import { recordText } from "./fixture.ts";

const { plan } = recordText();

Deno.test("areas stand on each other, and reach the peak that the plan names", () => {
  ok(plan !== undefined);
  const { chart, rows, arena, mapped } = memoryView(plan);
  ok(chart !== undefined);
  deepEqual([arena, mapped], ["10.0 MB", "0.00 MB"]);
  deepEqual(rows.map(({ kind, width }) => [kind, width]), [
    ...[["kept activations", 60], ["passing activations", 20], ["parameter", 10], ["gaps", 10]],
  ]);
  const { top, bottom, left, right } = MEMORY_PLOT;
  const heights = chart.areas.map(({ path }) =>
    Math.min(...[...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, y]) => Number(y)))
  );
  deepEqual(chart.areas.map(({ name }) => name), [
    ...["parameter", "kept activations", "passing activations"],
  ]);
  // 1 MB for good, up to 6 kept, 2 more passing; the axis ends at 10.
  deepEqual(
    heights.map((y) => Math.round(10 * (bottom - y) / (bottom - top) * 10) / 10),
    [1, 7, 9],
  );
  equal(chart.arena, top);
  deepEqual(chart.phases.map(({ label, at }) => [label, at]), [
    ["forward", left],
    ["backward", (left + right) / 2],
  ]);
});

Deno.test("what lives for good has an area for each large kind, and one for all others", () => {
  ok(plan !== undefined);
  const kinds = {
    moment: 2e6,
    parameter: 1e6,
    gradient: 9e5,
    index: 4e4,
    constant: 4e4,
    output: 10,
    none: 0,
  };
  const { chart } = memoryView({ ...plan, peak: { ...plan.peak, ...kinds } });
  deepEqual(chart?.areas.map(({ name, number }) => `${number} ${name}`), [
    ...["1 moment", "2 parameter", "3 gradient", "4 others"],
    ...["5 kept activations", "6 passing activations"],
  ]);
});

Deno.test("a plan without activations by call has rows and no chart", () => {
  ok(plan !== undefined);
  const { chart, rows } = memoryView({
    ...plan,
    activations: { phases: [], kept: [], passing: [] },
  });
  equal(chart, undefined);
  equal(rows.length, 4);
});
