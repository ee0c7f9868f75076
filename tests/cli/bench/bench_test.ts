/**
 * What bench makes of measurements: batches, rooflines, timelines, tables and plots.
 * @module
 */
import assert from "node:assert/strict";
import { chromeTrace } from "../../../src/cli/bench/chrome_trace.ts";
import type { KernelTime, Measured } from "../../../src/cli/bench/measure.ts";
import { bestOf, peaksText, profileTable } from "../../../src/cli/bench/roofline.ts";
import { rooflineOf } from "../../../src/report/roofline.ts";
import { type Point, scalingPlot, scalingTable } from "../../../src/cli/bench/scaling.ts";
import { VARIATIONS, variationTable } from "../../../src/cli/bench/variations.ts";
import { madeUpBatch } from "../../../src/cli/bench/workload.ts";
import { programInfo } from "../../../src/emit/info.ts";
import { median } from "../../../src/tune/statistics.ts";
import { runPasses, smallSpec, TINY } from "../../support/small_model.ts";

const OPTIONS = { config: TINY, batch: 2, seqLen: 12, storage: "f32" } as const;
const INFO = programInfo(runPasses(OPTIONS), {
  spec: smallSpec(OPTIONS),
  target: "cpu",
  arenaBytes: 0,
  vocabSize: 61,
  source: "",
  config: {},
});

const kernel = (name: string, rest: Partial<KernelTime> = {}): KernelTime => ({
  kernel: name,
  calls: 2,
  seconds: 0.5,
  worked: 0.4,
  flops: 1e9,
  bytes: 1e8,
  ...rest,
});

Deno.test("made-up batches: documents and the supervised end of each", () => {
  const whole = madeUpBatch(INFO);
  assert.ok(whole.inputIds.every((id) => id >= 0 && id < INFO.vocabSize));
  assert.deepEqual(whole.labels, whole.inputIds);
  assert.ok(whole.segmentIds.every((id) => id === 0));
  const packed = madeUpBatch(INFO, { documentTokens: 6, supervised: 1 / 3 });
  assert.deepEqual([...packed.segmentIds.slice(6, 18)], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
  const supervised = [...packed.labels].map((label) => label >= 0);
  assert.deepEqual(supervised.slice(0, 6), [false, false, false, false, true, true]);
  assert.equal(supervised.filter(Boolean).length, supervised.length / 3);
  assert.notDeepEqual(madeUpBatch(INFO, { number: 1 }).inputIds, whole.inputIds);
  const padded = madeUpBatch(INFO, { documentTokens: 6, filled: 6 });
  assert.deepEqual([...padded.segmentIds.slice(0, 8)], [0, 0, 0, 0, 0, 0, -1, -1]);
  assert.deepEqual([...padded.labels].map((label) => label >= 0).slice(4, 8), [
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("roofline: the nearer bound, and the share of it that was reached", () => {
  const rates = { flopsPerSecond: 8e9, bytesPerSecond: 1e9 };
  const compute = rooflineOf(kernel("a"), rates);
  assert.deepEqual(compute, { gflops: 4, gbytes: 0.4, share: 0.5, bound: "compute" });
  const memory = rooflineOf(kernel("a", { bytes: 2e8 }), rates);
  assert.deepEqual(memory, { gflops: 4, gbytes: 0.8, share: 0.8, bound: "memory" });
});

Deno.test("profile: the last row accounts for the step; a peak that moved is told twice", () => {
  const kernels = [kernel("product"), kernel("sweep", { seconds: 0.25, worked: 0.25, flops: 0 })];
  const peaks = [
    { flopsPerSecond: 8e9, bytesPerSecond: 1e9 },
    { flopsPerSecond: 6e9, bytesPerSecond: 1e9 },
  ];
  const text = profileTable({ ...MEASURED, kernels }, peaks);
  const [, first, , all] = text.split("\n");
  assert.match(first, /^product +2 +500\.00 +50\.0 % +20\.0 % +4\.0 +0\.4 +50\.0 % +compute$/);
  assert.match(all, /^all kernels +4 +750\.00 +75\.0 %/);
  assert.match(text, /model FLOPs 25\.0 % of the peak .*: 8\.0 to 6\.0 GFLOP\/s, 1\.0 GB\/s/);
  assert.deepEqual(bestOf(peaks.toReversed()), peaks[0]);
  assert.equal(peaksText([peaks[0]]), "8.0 GFLOP/s, 1.0 GB/s");
  assert.match(profileTable({ ...MEASURED, kernels: [] }, []), /does not measure/);
});

const MEASURED: Measured = {
  name: "toy",
  steps: 1,
  secondsPerStep: 1,
  cpuSecondsPerStep: 2,
  tokensPerSecond: 24,
  flopsPerSecond: 2e9,
  flopsPerStep: 2e9,
  loss: 1,
  peakRssBytes: 1,
  arenaBytes: 1,
  arenaUsedBytes: 1,
  stepAllocations: 0,
  storage: "f32",
  kernels: [],
  variants: [],
};

Deno.test("variants: kernels of one op are one line, with the ratio of their times", () => {
  const variants = Object.keys(VARIATIONS.documents.workloads(INFO)).map((variant, i) => ({
    variant,
    secondsPerStep: 2 - i,
    cpuSecondsPerStep: 4 - i,
    kernels: [
      kernel("attention_T24_Q16_K8_H2_0a1b2c3d", { seconds: i === 0 ? 0.8 : 0.2 }),
      kernel("linear_T24_K16_O8_R4_00000000"),
      kernel("linear_T24_K16_O24_R4_11111111"),
    ],
  }));
  const lines = variationTable({ ...MEASURED, variants }).split("\n");
  assert.match(lines[0], /1 document of 12 a row +1 documents of 32 a row +ratio$/);
  assert.match(lines[1], /^attention +800\.00 +200\.00 +25\.0 %$/);
  assert.match(lines[2], /^linear +1000\.00 +1000\.00 +100\.0 %$/);
  assert.match(lines[3], /^step +2000\.00 +1000\.00 +50\.0 %$/);
  assert.match(lines[4], /^step, CPU time +4000\.00 +3000\.00 +75\.0 %$/);
});

Deno.test("Chrome trace: a lane a thread, work and waiting, what the call was", () => {
  const call = {
    kernel: "linear_T24_K16_O8_R4_00000000",
    phase: "forward",
    tensors: ["x", "model.layers.3.mlp.up_proj.weight"],
    flops: 7,
    bytes: 8,
    spans: [{ begin: 0, worked: 1e-6, end: 3e-6 }, { begin: 5e-7, worked: 3e-6, end: 3.1e-6 }],
  } as const;
  const trace = JSON.parse(chromeTrace({ calls: [call], dropped: 2 }, INFO));
  assert.equal(trace.metadata.dropped_calls, 2);
  const [process, zero, one, work, wait, other] = trace.traceEvents;
  assert.equal(process.args.name, INFO.name);
  assert.deepEqual([zero.tid, one.tid, one.args.name], [0, 1, "thread 1"]);
  assert.deepEqual(
    [work.ph, work.name, work.cat, work.tid, work.ts, work.dur],
    ["X", call.kernel, "forward", 0, 0, 1],
  );
  assert.deepEqual([work.args.layer, work.args.flops, work.args.bytes], [3, 7, 8]);
  assert.deepEqual([wait.name, wait.ts, wait.dur], ["wait", 1, 2]);
  assert.deepEqual([other.tid, other.ts, other.dur], [1, 0.5, 2.5]);
});

Deno.test("scaling: work and time beside each other, and a plot with every point", () => {
  const point = (seqLen: number, rest: Partial<Point>): Point => ({
    sweep: "length",
    series: "one row <&>",
    batch: 1,
    seqLen,
    width: 64,
    depth: 1,
    tokensPerSecond: 1000,
    secondsPerStep: 0.1,
    cpuSecondsPerStep: 0.2,
    flopsPerStep: 1e9,
    peakShare: 0.5,
    peakRssBytes: 5e6,
    ...rest,
  });
  const points = [
    point(128, {}),
    point(256, { secondsPerStep: 0.3, flopsPerStep: 2.5e9, tokensPerSecond: 250 }),
    point(512, { sweep: "width", series: "w" }),
  ];
  const lines = scalingTable(points).split("\n");
  assert.match(
    lines.at(-3) ?? "",
    /^\| length: one row <&> \| 1 \| 128 .*\| 1\.00 \| 1\.00 \| 1\.00 \|/,
  );
  assert.match(
    lines.at(-2) ?? "",
    /^\| +\| 1 \| 256 .*\| 2\.50 \| 3\.00 \| 1\.00 \| 8\.3 \| 50\.0 % \|/,
  );
  assert.match(lines.at(-1) ?? "", /^\| width: w .*\| 1\.00 \| 1\.00 \| 1\.00 \|/);
  const svg = scalingPlot(points);
  assert.equal(svg.match(/<circle class="d0"[^>]* r="3"/g)?.length, 2 * points.length);
  assert.ok(svg.includes("prefers-color-scheme: dark") && svg.includes("one row &lt;&amp;>"));
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  for (const label of ["sequence length, tokens", "tokens/s", "width", "share of peak, %"]) {
    assert.ok(svg.includes(`>${label}<`), label);
  }
});

Deno.test("the median of an even count lies between the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});
