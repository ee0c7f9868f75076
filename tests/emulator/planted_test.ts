/**
 * Planted faults, each of which must be found: a checker that finds nothing proves nothing. Faults are macros of the kernels, or
 * edits of their PTX.
 * @module
 */
import assert from "node:assert/strict";
import {
  Device,
  type Finding,
  type FindingKind,
  findingText,
  type LaunchReport,
  parse,
  toBf16,
} from "../../src/emulator/mod.ts";
import { relativeError } from "../support/compare.ts";
import { compileKernels, cudaTest, fromBf16, ptxOf, randomFloats } from "./support.ts";

interface Result extends LaunchReport {
  /** ‖y − x wᵀ‖ / ‖x wᵀ‖ */
  readonly error: number;
}

/** Runs the matmul at T = 100 of 128 rows, K = N = 128. */
function gemm(ptx: string): Result {
  const [T, N, K] = [100, 128, 128];
  const x = toBf16(randomFloats(T * K, 1));
  const w = toBf16(randomFloats(N * K, 2));
  const device = new Device();
  const [a, b, y] = [device.alloc("x", x), device.alloc("w", w), device.alloc("y", T * N * 4)];
  const report = parse(ptx).launch("gemm", {
    ...{ device, grid: [2, 2], block: 128, shared: 16384, args: [a, b, y, T, N, K] },
  });
  const [left, right] = [fromBf16(x), fromBf16(w)];
  const wanted = Array.from({ length: T * N }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += left[Math.floor(i / N) * K + k] * right[i % N * K + k];
    return sum;
  });
  return { ...report, error: relativeError(device.readFloat32(y), wanted) };
}

/** A finding of a kind that a test holds for; others may be there as well. */
function found(
  { findings }: LaunchReport,
  kind: FindingKind,
  holds: (finding: Finding) => boolean = () => true,
): Finding {
  const one = findings.find((finding) => finding.kind === kind && holds(finding));
  if (one !== undefined) return one;
  return assert.fail(`no ${kind} among:\n${findings.map(findingText).join("\n")}`);
}

const isOpcode = (opcode: string) => (finding: Finding) => finding.opcode.startsWith(opcode);

cudaTest("planted: no barrier before tiles are used", () => {
  const report = gemm(ptxOf("gemm", { defines: ["BUG_BARRIER_BEFORE"] }));
  const one = found(
    report,
    "race",
    ({ opcode, other }) => opcode.startsWith("ldmatrix") && other?.access === "write",
  );
  assert.match(one.source[0].file, /gemm\.cu$/);
  assert.match(one.other?.opcode ?? "", /^cp\.async/);
});

cudaTest("planted: no barrier after tiles are used", () => {
  const report = gemm(ptxOf("gemm", { defines: ["BUG_BARRIER_AFTER"] }));
  const one = found(
    report,
    "race",
    ({ opcode, other }) => opcode.startsWith("cp.async") && other?.access === "read",
  );
  assert.match(one.other?.opcode ?? "", /^ldmatrix/);
});

cudaTest("planted: barriers deleted from the PTX", () => {
  const ptx = ptxOf("gemm");
  const lines = ptx.split("\n");
  const barriers = lines.flatMap((line, i) => /^\s*bar\.sync/.test(line) ? [i] : []);
  assert.ok(barriers.length >= 2);
  for (const barrier of barriers) {
    const without = lines.map((line, i) => i === barrier ? "" : line).join("\n");
    found(gemm(without), "race");
  }
});

cudaTest("planted: a wait for one group too few", () => {
  const report = gemm(ptxOf("gemm", { defines: ["BUG_WAIT"] }));
  found(report, "async-pending", isOpcode("ldmatrix"));
  assert.ok(!(report.error <= 1e-3), "the numbers are wrong too");
});

cudaTest("planted: waits for one group too few, in the PTX", () => {
  const ptx = ptxOf("gemm").replace(/wait_group (\d)/g, (_, n) => `wait_group ${Number(n) + 1}`);
  found(gemm(ptx), "async-pending", isOpcode("ldmatrix"));
});

cudaTest("planted: one row too many is read and written", () => {
  const report = gemm(ptxOf("gemm", { defines: ["BUG_ROW_LIMIT"] }));
  const read = found(report, "out-of-bounds", isOpcode("cp.async"));
  assert.equal(read.address?.allocation?.name, "x");
  assert.equal(read.address?.offset, 100 * 128 * 2);
  const write = found(report, "out-of-bounds", isOpcode("st.global"));
  assert.equal(write.address?.allocation?.name, "y");
  // It is only the checker that sees it.
  assert.ok(report.error <= 1e-6);
});

cudaTest("planted: no swizzle shows as bank conflicts and as nothing else", () => {
  const { counters, findings, error } = gemm(ptxOf("gemm", { defines: ["BUG_SWIZZLE"] }));
  assert.deepEqual(findings, []);
  assert.ok(error <= 1e-6);
  assert.ok(counters.shared.factor >= 2, `${counters.shared.factor}`);
  const worst = counters.places.filter(({ opcode }) => opcode.startsWith("ldmatrix"));
  assert.ok(worst.every(({ shared }) => shared?.factor === 4));
});

cudaTest("planted: swapped operands of mma show in the numbers", () => {
  const { findings, error } = gemm(ptxOf("gemm", { defines: ["BUG_OPERANDS"] }));
  assert.deepEqual(findings, []);
  assert.ok(!(error <= 1e-3));
});

/** Runs a kernel of blocks.cu. */
function run(
  name: string,
  given: {
    readonly defines?: readonly string[];
    readonly grid: number | readonly number[];
    readonly block: number | readonly number[];
    readonly args: (device: Device) => Parameters<ReturnType<typeof parse>["launch"]>[1]["args"];
  },
): LaunchReport {
  const device = new Device();
  const { defines = [], grid, block } = given;
  const module = compileKernels("blocks", { defines });
  return module.launch(name, { device, grid, block, args: given.args(device) });
}

const softmaxArgs = (device: Device) => [
  device.alloc("x", randomFloats(300, 3)),
  device.alloc("y", 1200),
  300,
];

cudaTest("planted: no barrier in a block's reduction", () => {
  const defines = ["BUG_BARRIER_BEFORE"];
  const before = run("softmax", { defines, grid: 1, block: 128, args: softmaxArgs });
  found(before, "uninitialised", isOpcode("ld.shared"));
  found(before, "race");
});

cudaTest("planted: no barrier before the reduction's words are used again", () => {
  const defines = ["BUG_BARRIER_AFTER"];
  const after = run("softmax", { defines, grid: 1, block: 128, args: softmaxArgs });
  const one = found(after, "race", ({ other }) => other?.access === "read");
  assert.match(one.opcode, /^st\.shared/);
});

cudaTest("planted: columns of a transpose in one bank", () => {
  const { counters } = run("transpose", {
    ...{ defines: ["BUG_PADDING"], grid: [1, 1], block: [32, 8] },
    args: (device) => [device.alloc("x", randomFloats(1024, 4)), device.alloc("y", 4096), 32, 32],
  });
  assert.ok(counters.places.some(({ shared }) => shared?.factor === 32));
});

cudaTest("planted: a ragged transpose past its last row", () => {
  const report = run("transpose", {
    ...{ defines: ["BUG_ROW_LIMIT"], grid: [3, 2], block: [32, 8] },
    args: (device) => [device.alloc("x", randomFloats(3500, 4)), device.alloc("y", 14000), 50, 70],
  });
  // Beyond the edge the tile was never filled.
  found(report, "uninitialised", isOpcode("ld.shared"));
  found(report, "out-of-bounds", isOpcode("st.global"));
});

const scaleArgs = (device: Device) => [
  device.alloc("x", randomFloats(96, 5)),
  device.alloc("y", 384),
  96,
];

cudaTest("planted: one vector past the end", () => {
  const report = run("scale4", { defines: ["BUG_LIMIT"], grid: 1, block: 32, args: scaleArgs });
  found(report, "out-of-bounds", isOpcode("ld.global"));
  found(report, "out-of-bounds", isOpcode("st.global"));
});

cudaTest("planted: a vector that is not aligned", () => {
  const report = run("scale4", { defines: ["BUG_ALIGN"], grid: 1, block: 32, args: scaleArgs });
  assert.equal(found(report, "misaligned").lane, 3);
});

cudaTest("planted: shared memory that was never cleared", () => {
  const report = run("histogram", {
    ...{ defines: ["BUG_CLEAR"], grid: 1, block: 256 },
    args: (d) => [d.alloc("x", new Uint8Array(256)), d.alloc("counts", new Uint32Array(256)), 256],
  });
  found(report, "uninitialised");
});

const sumArgs = (device: Device) => [
  device.alloc("x", randomFloats(1000, 7)),
  device.alloc("partial", 16),
  device.alloc("y", 4),
  1000,
];

cudaTest("planted: a sum split over blocks without atomics", () => {
  const report = run("split_sum", { defines: ["BUG_SPLIT"], grid: 4, block: 128, args: sumArgs });
  const one = found(report, "race-between-blocks");
  assert.equal(one.address?.allocation?.name, "y");
});

cudaTest("planted: partial sums handed to another block without a fence", () => {
  const report = run("split_sum", { defines: ["BUG_FENCE"], grid: 4, block: 128, args: sumArgs });
  const one = found(report, "race-between-blocks");
  assert.equal(one.address?.allocation?.name, "partial");
});

const outArgs = (device: Device) => [device.alloc("y", 512)];

cudaTest("planted: warps at different barriers", () => {
  const report = run("skips_barrier", { grid: 1, block: 64, args: outArgs });
  assert.equal(report.complete, false);
  assert.match(found(report, "deadlock").message, /waits for warps/);
});

cudaTest("planted: halves of a warp at different barriers", () => {
  const report = run("half_warp", { grid: 1, block: 32, args: outArgs });
  assert.equal(report.complete, false);
  assert.match(found(report, "divergent").message, /^16 lanes of the warp are missing/);
});

cudaTest("planted: a named barrier that the writer never comes to", () => {
  const report = run("named", { defines: ["BUG_NAMED"], grid: 1, block: 128, args: outArgs });
  found(report, "race", ({ other }) => other?.access === "write");
});

cudaTest("planted: an array that is used before it is written, in device memory", () => {
  const report = run("scale4", {
    ...{ grid: 1, block: 32 },
    args: (device) => [device.alloc("x", 384), device.alloc("y", 384), 96],
  });
  const one = found(report, "uninitialised");
  assert.equal(one.address?.allocation?.name, "x");
  assert.match(findingText(one), /blocks\.cu:\d+.*\n.*at x \+ 0 of 384/);
});
