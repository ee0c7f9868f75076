/**
 * Kernels on the page against the same by hand.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { kernelsView } from "../../src/report/kernels.ts";
import { recordText } from "./fixture.ts";

const { profile = { steps: 0, seconds: 0, kernels: [] }, plan } = recordText();

Deno.test("rows by time, with rates and the share of the roofline", () => {
  const { rows, covered } = kernelsView(profile, plan);
  deepEqual(rows.map(({ name }) => name), ["linear_T100", "add_T100", "copy_T100"]);
  equal(covered, "95.0 %");
  // linear: 80 calls of 5 GFLOP and 0.1 GB in 12 s; 4 s at peak.
  const [linear, add] = rows;
  deepEqual([linear.calls, linear.ms, linear.share], ["2", "300.00", "63.2 %"]);
  deepEqual([linear.gflops, linear.gbytes, linear.roof], ["33.3", "0.7", "33.3 %"]);
  equal(linear.bound, "compute");
  // add: 40 calls of 0.1 GFLOP and 1.2 GB in 6 s; 4.8 s at full bandwidth.
  deepEqual([add.gflops, add.gbytes, add.roof, add.bound], ["0.7", "8.0", "80.0 %", "memory"]);
});

Deno.test("a point lies under the roof by its share, whatever the axes", () => {
  const { chart } = kernelsView(profile, plan);
  ok(chart !== undefined);
  // What computes nothing has no place on logarithmic axes.
  equal(chart.points.length, 2);
  const path = [...chart.roof.matchAll(/[\d.]+/g)].map(([number]) => Number(number));
  const [x0, y0, ridge, peak] = path;
  const [linear, add] = chart.points;
  const decade = chart.yTicks[0].at - chart.yTicks[1].at;
  ok(linear.x > ridge);
  ok(Math.abs((linear.y - peak) / decade - Math.log10(3)) < 1e-3, `${linear.y} ${peak} ${decade}`);
  ok(add.x < ridge);
  const roof = y0 + (add.x - x0) / (ridge - x0) * (peak - y0);
  ok(Math.abs((add.y - roof) / decade - Math.log10(1 / 0.8)) < 1e-2, `${add.y} ${roof}`);
});

Deno.test("where nothing is known of the machine there is a table and no chart", () => {
  const { rows, chart } = kernelsView(profile, undefined);
  equal(chart, undefined);
  deepEqual(rows.map(({ roof }) => roof), ["", "", ""]);
  equal(rows[0].gflops, "33.3");
});
