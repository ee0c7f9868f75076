/**
 * A standalone program's whole way without a GPU: its main function over a stand-in of CUDA's runtime, a reference file, its report.
 * @module
 */
import assert from "node:assert/strict";
import { engineCheck } from "../support/engine_check.ts";
import { cudaTest } from "../support/nvcc.ts";
import { runCommand } from "../errors/case.ts";

/** Values by name, as tests/native/engine_check.cpp's program wants them: one step of two micro-batches. */
const ENTRIES: Readonly<Record<string, Float32Array | Int32Array>> = {
  table: Float32Array.of(10, 20, 30),
  parameters: Float32Array.of(0, 0, 0),
  "batch.0.0.input_ids": Int32Array.of(0, 1, 2, 0),
  "batch.0.0.labels": Int32Array.of(0, 1, 2, -100),
  "batch.0.0.segment_ids": Int32Array.of(0, 0, 0, 0),
  "batch.0.1.input_ids": Int32Array.of(1, 1, 2, 0),
  "batch.0.1.labels": Int32Array.of(0, 1, 2, -100),
  "batch.0.1.segment_ids": Int32Array.of(0, 0, 0, 0),
  // Four supervised tokens: the scale is 1/4; ids 0, 1, 2 come 3, 3 and 2 times.
  "expect.losses": Float32Array.of(25),
  "expect.norms": Float32Array.of(2),
  "expect.gradient.parameters": Float32Array.of(0.75, 0.75, 0.5),
};

const SETTINGS = {
  steps: 1,
  micro_batches: 2,
  ...{ learning_rate: 0.5, weight_decay: 0, max_grad_norm: 1 },
  ...{ tolerance_loss: 1e-6, tolerance_norm: 1e-6, tolerance_gradient: 1e-6 },
};

/** A reference file by its description alone (native/cuda/standalone/reference.hpp). */
function referenceFile(
  entries: Readonly<Record<string, Float32Array | Int32Array>> = ENTRIES,
  more: readonly string[] = [],
): Uint8Array {
  const begin = 4096;
  let at = begin;
  const lines = Object.entries(entries).map(([name, values]) => {
    const line = `entry ${
      values instanceof Int32Array ? "I32" : "F32"
    } ${values.length} ${at} ${name}`;
    at += values.byteLength;
    return line;
  });
  const set = Object.entries(SETTINGS).map(([name, value]) => `set ${name} ${value}`);
  const bytes = new Uint8Array(at);
  bytes.set(new TextEncoder().encode(
    ["pacac-reference 1", ...set, ...lines, ...more, "end", ""].join("\n"),
  ));
  let to = begin;
  for (const values of Object.values(entries)) {
    bytes.set(new Uint8Array(values.buffer), to);
    to += values.byteLength;
  }
  return bytes;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function standalone(dir: string, bytes: Uint8Array, ...args: string[]): Promise<Ran> {
  await Deno.writeFile(`${dir}/reference.bin`, bytes);
  const { code, stdout, stderr } = await new Deno.Command(await engineCheck(), {
    args: ["standalone", ...args],
    cwd: dir,
  }).output();
  const text = (some: Uint8Array) => new TextDecoder().decode(some);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pacac-standalone-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

cudaTest(
  "standalone: checks hold, times are printed, cuda:report reads the JSON",
  () =>
    inFolder(async (dir) => {
      const told = await standalone(dir, referenceFile(), "--steps", "3");
      assert.equal(told.code, 0, told.stderr + told.stdout);
      assert.match(told.stdout, /^toy, built for sm_80, on Toy GPU \(sm_80\)$/m);
      assert.match(told.stdout, /^4 checks, 0 failed/m);
      assert.match(told.stdout, /^step: \d+\.\d{3} ms \(median of 3\), \d+ tokens\/s/m);
      const { code, stdout } = await standalone(dir, referenceFile(), "--json", "--steps", "3");
      assert.equal(code, 0);
      await Deno.writeTextFile(`${dir}/report.json`, stdout);
      const report = await runCommand(["cuda:report", "report.json"], { dir });
      assert.equal(report.exit, "0", report.stderr);
      assert.match(report.stdout, /^device +Toy GPU \(sm_80\)$/m);
      assert.match(report.stdout, /^checks +4, all hold$/m);
      assert.match(report.stdout, /^lookup +2 /m);
      assert.match(report.stdout, /^descend +1 /m);
    }),
);

cudaTest(
  "standalone: a wrong value is named and ends with 1, one that is no number too",
  () =>
    inFolder(async (dir) => {
      for (const gradient of [0.5001, NaN]) {
        const entries = {
          ...ENTRIES,
          "expect.gradient.parameters": Float32Array.of(0.75, 0.75, gradient),
        };
        const { code, stdout } = await standalone(dir, referenceFile(entries), "--steps", "1");
        assert.equal(code, 1);
        assert.match(stdout, /^FAILED gradient of parameters: /m);
        assert.match(stdout, /^4 checks, 1 failed/m);
        const json = await standalone(dir, referenceFile(entries), "--steps", "1", "--json");
        await Deno.writeTextFile(`${dir}/report.json`, json.stdout);
        const report = await runCommand(["cuda:report", "report.json"], { dir });
        assert.match(report.stdout, /^checks +4, 1 failed$/m);
        assert.match(report.stdout, /^gradient of parameters /m);
      }
    }),
);

cudaTest(
  "standalone: a file that is not this program's is refused with its place and 2",
  () =>
    inFolder(async (dir) => {
      const cut = (bytes: Uint8Array) => bytes.subarray(0, 60);
      const { table: _, ...without } = ENTRIES;
      const cases: readonly (readonly [Uint8Array, RegExp])[] = [
        [new TextEncoder().encode("{}\n"), /reference\.bin:1: this is no reference file/],
        [cut(referenceFile()), /reference\.bin:\d+: the file ends before its line "end"/],
        [referenceFile(ENTRIES, ["entry F32 9 0"]), /reference\.bin:\d+: a name is missing/],
        [referenceFile(ENTRIES, ["entry F64 1 0 x"]), /: a type is F32, BF16 or I32/],
        [referenceFile(ENTRIES, ["entry F32 -1 0 x"]), /: the values are not in the file/],
        [referenceFile(ENTRIES, ["entry F32 9223372036854775807 8 x"]), /are not in the file/],
        [referenceFile(ENTRIES, ["entry F32 1 99999999 x"]), /: the values are not in the file/],
        [referenceFile(ENTRIES, ["set steps many"]), /: a number is expected/],
        [referenceFile(ENTRIES, ["set steps 0"]), /: steps is out of range/],
        [referenceFile(ENTRIES, ["hello"]), /: a line begins with set, entry or end/],
        [referenceFile(without), /there is no entry table/],
        [referenceFile({ ...ENTRIES, table: Float32Array.of(1) }), /table has 1 values/],
        [
          referenceFile({ ...ENTRIES, "batch.0.0.input_ids": Int32Array.of(0, 1, 2, 3) }),
          /tensor input_ids cannot hold 3/,
        ],
      ];
      for (const [bytes, wanted] of cases) {
        const { code, stderr } = await standalone(dir, bytes);
        assert.match(stderr, wanted);
        assert.equal(code, 2, stderr);
      }
      const { code, stderr } = await standalone(dir, referenceFile(), "--steps", "0");
      assert.equal(code, 2);
      assert.match(stderr, /--steps takes a number/);
    }),
);
