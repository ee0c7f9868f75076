/**
 * Kernels that nvcc compiled, in the emulator: numbers against float64, no findings, counters where they are known.
 * @module
 */
import assert from "node:assert/strict";
import {
  Device,
  findingText,
  type LaunchReport,
  parsePtxas,
  toBf16,
} from "../../src/emulator/mod.ts";
import { assertClose } from "../support/compare.ts";
import {
  compileKernels,
  cudaTest,
  fromBf16,
  ptxasOf,
  randomFloats,
  randomNumbers,
} from "./support.ts";

/** No findings, all blocks ended. */
function assertClean({ findings, complete }: LaunchReport): void {
  assert.equal(findings.map(findingText).join("\n"), "");
  assert.ok(complete);
}

/** x w^T in float64. */
function product(
  x: Float32Array,
  w: Float32Array,
  { T, N, K }: { readonly T: number; readonly N: number; readonly K: number },
): Float64Array {
  const y = new Float64Array(T * N);
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[t * K + k] * w[n * K + k];
      y[t * N + n] = sum;
    }
  }
  return y;
}

for (const arch of ["sm_80", "sm_90"]) {
  for (const [T, N, K] of [[128, 128, 128], [100, 64, 96], [1, 64, 32]]) {
    cudaTest(
      `a matmul of [${T}, ${K}] by [${N}, ${K}] for ${arch}: right, clean, no conflicts`,
      () => {
        const x = toBf16(randomFloats(T * K, 1));
        const w = toBf16(randomFloats(N * K, 2));
        const device = new Device();
        const y = device.alloc("y", T * N * 4);
        const report = compileKernels("gemm", { arch }).launch("gemm", {
          device,
          grid: [Math.ceil(T / 64), N / 64],
          block: 128,
          shared: 16384,
          args: [device.alloc("x", x), device.alloc("w", w), y, T, N, K],
        });
        assertClean(report);
        const wanted = product(fromBf16(x), fromBf16(w), { T, N, K });
        assertClose(device.readFloat32(y), wanted, { tolerance: 1e-6, what: "y" });
        const { shared, globalReads, mma } = report.counters;
        assert.equal(shared.factor, 1);
        assert.equal(globalReads.efficiency, 1);
        // Tiles of 64 x 64: 32 products of 16 x 8 for each 16 of K.
        assert.equal(mma, Math.ceil(T / 64) * (N / 64) * 32 * K / 16);
      },
    );
  }
}

cudaTest("plain and checked launches give the same bits", () => {
  const device = new Device();
  const [x, w] = [1, 2].map((seed) =>
    device.alloc(`in${seed}`, toBf16(randomFloats(64 * 64, seed)))
  );
  const module = compileKernels("gemm");
  const results = [true, false].map((check) => {
    const y = device.alloc("y", 64 * 64 * 4);
    module.launch("gemm", {
      ...{ device, grid: 1, block: 128, shared: 16384, check },
      args: [x, w, y, 64, 64, 64],
    });
    return device.read(y);
  });
  assert.deepEqual(results[0], results[1]);
});

cudaTest("softmax of rows", () => {
  const [rows, n] = [3, 300];
  const x = randomFloats(rows * n, 3);
  const device = new Device();
  const y = device.alloc("y", rows * n * 4);
  const args = [device.alloc("x", x), y, n];
  const module = compileKernels("blocks", { flags: ["--use_fast_math"] });
  assertClean(module.launch("softmax", { device, grid: rows, block: 128, args }));
  const wanted = new Float64Array(rows * n);
  for (let r = 0; r < rows; r++) {
    const exps = Array.from(x.subarray(r * n, (r + 1) * n), Math.exp);
    const sum = exps.reduce((a, b) => a + b);
    exps.forEach((e, i) => wanted[r * n + i] = e / sum);
  }
  assertClose(device.readFloat32(y), wanted, { tolerance: 1e-6, what: "softmax" });
});

cudaTest("a transpose through shared memory, ragged", () => {
  const [m, n] = [50, 70];
  const x = randomFloats(m * n, 4);
  const device = new Device();
  const y = device.alloc("y", m * n * 4);
  const args = [device.alloc("x", x), y, m, n];
  const report = compileKernels("blocks").launch("transpose", {
    ...{ device, grid: [3, 2], block: [32, 8], args },
  });
  assertClean(report);
  assert.equal(report.counters.shared.factor, 1);
  const wanted = x.map((_, i) => x[(i % m) * n + Math.floor(i / m)]);
  assert.deepEqual(device.readFloat32(y), wanted);
});

cudaTest("vectors of 16 bytes read every sector whole", () => {
  const x = randomFloats(1000, 5);
  const device = new Device();
  const y = device.alloc("y", 4000);
  const args = [device.alloc("x", x), y, 1000];
  const report = compileKernels("blocks").launch("scale4", { device, grid: 2, block: 128, args });
  assertClean(report);
  assert.deepEqual(device.readFloat32(y), x.map((v) => 2 * v));
  const { globalReads, globalWrites, lines } = report.counters;
  assert.equal(globalReads.sectors, 125);
  assert.equal(globalWrites.bytes, 4000);
  assert.ok(
    lines.some(({ file, global }) => file.endsWith("blocks.cu") && global?.sectors === 125),
  );
});

cudaTest("lanes that leave a loop at different times", () => {
  const x = Int32Array.from({ length: 100 }, (_, i) => i + 1);
  const device = new Device();
  const y = device.alloc("y", 400);
  const args = [device.alloc("x", x), y, 100];
  assertClean(compileKernels("blocks").launch("collatz", { device, grid: 2, block: 64, args }));
  const wanted = x.map((start) => {
    let steps = 0;
    for (let v = start; v !== 1; steps++) v = v % 2 === 0 ? v / 2 : 3 * v + 1;
    return steps;
  });
  assert.deepEqual(new Int32Array(device.read(y).buffer), wanted);
});

cudaTest("a histogram by atomics", () => {
  const random = randomNumbers(6);
  const x = Uint8Array.from({ length: 3001 }, () => Math.floor((random() + 1) * 100));
  const device = new Device();
  const counts = device.alloc("counts", new Uint32Array(256));
  const args = [device.alloc("x", x), counts, x.length];
  assertClean(compileKernels("blocks").launch("histogram", { device, grid: 3, block: 256, args }));
  const wanted = new Uint32Array(256);
  for (const value of x) wanted[value]++;
  assert.deepEqual(new Uint32Array(device.read(counts).buffer), wanted);
});

cudaTest("shuffles of parts of a warp, votes, matches, reductions", () => {
  const x = Int32Array.from({ length: 32 }, (_, i) => i * 7 % 32 - 10);
  const device = new Device();
  const y = device.alloc("y", 192 * 4);
  const args = [device.alloc("x", x), y];
  assertClean(compileKernels("blocks").launch("lanes", { device, grid: 1, block: 32, args }));
  const found = new Int32Array(device.read(y).buffer);
  const mask = (test: (v: number) => boolean) =>
    x.reduce((bits, v, i) => test(v) ? bits | 1 << i : bits, 0);
  for (let i = 0; i < 32; i++) {
    const group = x.subarray(i & ~7, (i & ~7) + 8).reduce((a, b) => a + b);
    assert.equal(found[i], group);
    assert.equal(found[32 + i], mask((v) => v > 0));
    assert.equal(found[64 + i], 21);
    assert.equal(found[96 + i], 3);
    assert.equal(found[128 + i], mask((v) => (v & 3) === (x[i] & 3)));
    if (i < 10) assert.equal(found[160 + i], x[Math.max(0, i - 1)]);
  }
});

cudaTest("the last block adds what the others fenced", () => {
  const x = randomFloats(1000, 7);
  const device = new Device();
  const y = device.alloc("y", 4);
  const args = [device.alloc("x", x), device.alloc("partial", 16), y, 1000];
  const module = compileKernels("blocks");
  // Twice: the counter wraps, and the second launch conflicts with nothing of the first.
  for (let i = 0; i < 2; i++) {
    assertClean(module.launch("split_sum", { device, grid: 4, block: 128, args }));
  }
  assertClose(device.readFloat32(y), [x.reduce((a, b) => a + b)], { tolerance: 1e-5, what: "sum" });
});

cudaTest("named barriers order the warps that meet at them", () => {
  const device = new Device();
  const y = device.alloc("y", 96 * 4);
  assertClean(compileKernels("blocks").launch("named", { device, grid: 1, block: 128, args: [y] }));
  assert.deepEqual([...device.readFloat32(y)], Array.from({ length: 96 }, (_, i) => i % 32));
});

cudaTest("constants, local memory, a switch, special functions, doubles", () => {
  const which = Int32Array.from({ length: 64 }, (_, i) => i * 5 % 23);
  const device = new Device();
  const [y, z] = [device.alloc("y", 256), device.alloc("z", 512)];
  const args = [device.alloc("which", which), y, z, 3];
  assertClean(compileKernels("blocks").launch("mixed", { device, grid: 1, block: 64, args }));
  const table = [1.5, -2, 0.25, 8];
  const wanted = Array.from(which, (w, i) => {
    const k = w & 7;
    const v = table[k & 3] * (i + k);
    switch (w % 5) {
      case 0:
        return v + 10;
      case 1:
        return v * 3;
      case 2:
        return Math.sqrt(Math.abs(v));
      case 3:
        return Math.tanh(v * 0.01);
      default:
        return Math.sin(v) + Math.log(1 + Math.abs(v));
    }
  });
  assertClose(device.readFloat32(y), wanted, { tolerance: 1e-6, what: "y" });
  const doubles = new Float64Array(device.read(z).buffer);
  const values = Array.from(device.readFloat32(y), (v) => Math.exp(v * 0.01) / 3 + 3);
  assertClose(doubles, values, { tolerance: 1e-14, what: "z" });
});

for (const arch of ["sm_80", "sm_90"]) {
  cudaTest(`bf16 pairs for ${arch}`, () => {
    const bits = toBf16(randomFloats(64, 8));
    const device = new Device();
    const [y, sums] = [device.alloc("y", 128), device.alloc("sums", 128)];
    const args = [device.alloc("x", bits), y, sums];
    const module = compileKernels("blocks", { arch });
    assertClean(module.launch("pairs", { device, grid: 1, block: 32, args }));
    const x = fromBf16(bits);
    const squares = fromBf16(toBf16(x.map((v) => v * v + 0.5)));
    const wanted = squares.map((w, i) => Math.max(w, fromBf16(toBf16([-3 * x[i]]))[0]));
    assert.deepEqual(device.readBf16(y), wanted);
    const pairs = Float32Array.from({ length: 32 }, (_, i) => squares[2 * i] + squares[2 * i + 1]);
    assert.deepEqual(device.readFloat32(sums), pairs);
  });
}

cudaTest("a structure by value, indexed by the block", () => {
  const device = new Device();
  const buffers = [3, 5, 0, 7].map((count, i) => device.alloc(`to${i}`, count * 4));
  const given = new DataView(new ArrayBuffer(56));
  buffers.forEach(({ address, bytes }, i) => {
    given.setBigUint64(8 * i, address, true);
    given.setInt32(32 + 4 * i, bytes / 4, true);
  });
  given.setFloat32(48, 1.5, true);
  const args = [new Uint8Array(given.buffer)];
  assertClean(compileKernels("blocks").launch("many", { device, grid: 4, block: 32, args }));
  buffers.forEach((buffer, i) => {
    const wanted = Float32Array.from({ length: buffer.bytes / 4 }, () => 1.5 * i);
    assert.deepEqual(device.readFloat32(buffer), wanted);
  });
});

cudaTest("barriers that count", () => {
  const device = new Device();
  const x = device.alloc("x", Int32Array.from({ length: 96 }, (_, i) => i));
  const y = device.alloc("y", 384);
  const module = compileKernels("blocks");
  assertClean(module.launch("counted", { device, grid: 1, block: 96, args: [x, y] }));
  assert.deepEqual([...new Int32Array(device.read(y).buffer)], Array(96).fill(96));
});

cudaTest("registers and spills by ptxas, counts by the PTX", () => {
  for (const arch of ["sm_80", "sm_90"]) {
    const [gemm] = parsePtxas(ptxasOf("gemm", { arch }));
    assert.equal(gemm.entry, "gemm");
    assert.equal(gemm.arch, arch);
    assert.equal(gemm.spillStores + gemm.spillLoads, 0);
    assert.ok(gemm.registers > 32 && gemm.registers <= 128, `${gemm.registers}`);
    assert.equal(gemm.barriers, 1);
  }
  const counts = compileKernels("gemm").counts("gemm");
  assert.equal(counts.mma, 16);
  assert.equal(counts.ldmatrix, 8);
  assert.equal(counts.asyncCopies, 8);
  assert.equal(counts.barriers, 2);
  assert.equal(compileKernels("blocks").counts("scale4").global16, 2);
});

cudaTest("planted: a kernel that has too few registers spills", () => {
  const kernels = parsePtxas(ptxasOf("blocks", { flags: ["-maxrregcount=24"] }));
  const mixed = kernels.find(({ entry }) => entry === "mixed");
  assert.ok(mixed !== undefined && mixed.spillStores > 0 && mixed.spillLoads > 0);
});
