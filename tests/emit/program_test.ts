/**
 * A plan by hand from emission to numbers: emit, build, probe, load, run.
 * @module
 */
import assert from "node:assert/strict";
import { buildAddon, Cache, loadAddon } from "../../src/build/mod.ts";
import { PacacError } from "../../src/errors.ts";
import { emitProgram } from "../../src/emit/mod.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { NativeEngine, type NativeModule } from "../../src/train/native_engine.ts";
import type { Batch } from "../../src/train/engine.ts";
import { PLAIN, SIZE, testRenderer, toyPlan } from "./fixture.ts";

const plan = toyPlan();

/** Documents 0 0 0 1 | 2 2 - -: position 3 starts a document, row 1 has two tokens. */
const BATCH: Batch = {
  inputIds: Int32Array.of(0, 1, 2, 3, 4, 0, 1, 1),
  labels: Int32Array.of(1, 1, -100, 3, 0, 2, 3, 3),
  segmentIds: Int32Array.of(0, 0, 0, 1, 2, 2, -1, -1),
};
const OTHER: Batch = { ...BATCH, labels: Int32Array.of(0, 1, 1, 0, 0, -100, 0, 0) };
const TABLE = Float32Array.of(10, 20, 30, 40, 50);
const START = Float32Array.of(0.5, 0.25, 0, 0, 1);
const GAINS = [1, 2, 4].map((gain) =>
  Float32Array.from({ length: SIZE.tokens }, (_, t) => gain * t)
);
/** y[t] by the definition. */
const Y = Array.from(BATCH.inputIds, (id, t) => TABLE[id] + START[id] + 7 * t);

let built: Promise<NativeModule> | undefined;

/** Built once for all tests of this file. */
function toy(): Promise<NativeModule> {
  built ??= build(plan);
  return built;
}

async function build(some: Plan): Promise<NativeModule> {
  const cache = new Cache();
  const { sources } = emitProgram(some, { renderer: testRenderer(), memo: cache });
  const folder = Deno.makeTempDirSync({ prefix: "pacac-toy-" });
  try {
    const addon = await buildAddon(sources, { flags: PLAIN.flags, folder, cache });
    return await loadAddon(addon.path, { cache });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function engine(options: { threads?: number; poison?: boolean } = {}): Promise<NativeEngine> {
  const own = new NativeEngine(await toy(), { poison: true, ...options, info: plan.info });
  own.write("table", TABLE);
  own.write("parameters", START);
  GAINS.forEach((gain, layer) => own.write(`layers.${layer}.gain`, gain));
  return own;
}

const SETTINGS = { learningRate: 0.5, weightDecay: 0.25, maxGradNorm: 2, step: 3 };

Deno.test("a generated program computes what its plan says, with any number of threads", async () => {
  for (const threads of [1, 2, 3, 4]) {
    const own = await engine({ threads });
    const { loss } = await own.forward(BATCH);
    // Supervised: t = 1 (label 1 in document 0) and t = 5; t = 2 is ignored, 3 and 4 start documents.
    assert.equal(loss, (Y[1] + Y[5]) / 2, `${threads} threads`);
    const logits = await own.logits(Int32Array.of(5, 0, 3));
    assert.deepEqual(
      [...logits],
      [5, 0, 3].flatMap((t) => [0, 1, 2, 3, 4].map((v) => Y[t] + v / 2)),
    );
    own.dispose();
  }
});

Deno.test("step() sums micro-batches, fills hyper and updates", async () => {
  const own = await engine();
  const { loss } = await own.gradients([BATCH, OTHER]);
  // OTHER supervises t = 1 and 2: four supervised tokens in all.
  assert.equal(loss, Math.fround((Y[1] + Y[5]) / 4) + Math.fround((Y[1] + Y[2]) / 4));
  assert.deepEqual([...own.read("gradients")], [1, 1.5, 0.5, 0.5, 0.5]);
  const { gradNorm } = await own.step([BATCH, OTHER], SETTINGS);
  assert.equal(gradNorm, 1 + 2.25 + 0.75, "gradients are zeroed at the start of a step");
  assert.deepEqual([...own.read("parameters")], [0, -0.5, -0.25, -0.25, 0.75]);
  const hyper = [0.5, 0.25, 2, 1 - 0.9 ** 3, 1 - 0.999 ** 3].map(Math.fround);
  assert.deepEqual([...own.read("hyper")], hyper);
  own.dispose();
});

Deno.test("a batch without supervised tokens has loss 0 and no gradient", async () => {
  const own = await engine();
  const batch = { ...BATCH, labels: new Int32Array(SIZE.tokens).fill(-100) };
  const { loss, gradNorm } = await own.step([batch], SETTINGS);
  assert.equal(loss, 0);
  assert.equal(gradNorm, 0);
  own.dispose();
});

Deno.test("memory() tells the plan's bytes and no allocation after steps", async () => {
  const own = await engine();
  assert.equal(own.memory().arenaUsed, 0);
  await own.step([BATCH], SETTINGS);
  await own.logits(Int32Array.of(0));
  assert.equal(own.memory().arenaUsed, plan.arenaBytes);
  assert.equal(own.memory().stepAllocations, 0);
  const calls = own.profile().map(({ kernel, calls }) => [kernel.split("_")[0], calls]);
  assert.deepEqual(calls, [
    ["lookup", 1],
    ["shift", 3],
    ["total", 1],
    ["pick", 1],
    ["scatter", 1],
    ["descend", 1],
  ]);
  assert.ok(own.profile().every(({ seconds }) => seconds > 0));
  own.dispose();
});

Deno.test("trace() keeps each thread's span of the next calls, and counts those without room", async () => {
  const own = await engine({ threads: 3 });
  await own.step([BATCH], SETTINGS);
  assert.deepEqual(own.traced(), { calls: [], dropped: 0 }, "only where it is asked for");
  await own.trace(100);
  await own.step([BATCH], SETTINGS);
  const { calls, dropped } = own.traced();
  assert.equal(dropped, 0);
  assert.deepEqual(calls.map(({ kernel, phase }) => [kernel.split("_")[0], phase]), [
    ["lookup", "forward"],
    ["shift", "forward"],
    ["shift", "forward"],
    ["shift", "forward"],
    ["total", "forward"],
    ["scatter", "backward"],
    ["descend", "update"],
  ]);
  assert.ok(calls[2].tensors.includes("layers.1.gain"));
  let last = 0;
  for (const { spans } of calls) {
    assert.equal(spans.length, 3);
    const ends = Math.max(...spans.map(({ worked }) => worked));
    for (const { begin, worked, end } of spans) {
      assert.ok(last <= begin && begin <= worked && worked <= end, "work, then waiting");
      assert.ok(end >= ends, "nobody goes on before the slowest has finished");
    }
    last = ends;
  }
  assert.equal(own.memory().stepAllocations, 0);
  await own.trace(5);
  await own.step([BATCH], SETTINGS);
  assert.equal(own.traced().calls.length, 5);
  assert.equal(own.traced().dropped, 2);
  await own.trace(0);
  await own.step([BATCH], SETTINGS);
  assert.deepEqual(own.traced(), { calls: [], dropped: 0 });
  await assert.rejects(own.trace(1 << 20), /at most 262144 calls/);
  own.dispose();
});

Deno.test("memory() counts what a step allocates", async () => {
  const own = new NativeEngine(await build(toyPlan({ allocates: true })), { info: plan.info });
  own.write("table", TABLE);
  GAINS.forEach((gain, layer) => own.write(`layers.${layer}.gain`, gain));
  await own.forward(BATCH);
  // One for each thread of the planted kernel.
  assert.equal(own.memory().stepAllocations, SIZE.threads);
  own.dispose();
});

Deno.test("calls wait for one another, dispose for all of them", async () => {
  const own = await engine();
  const results = Promise.all([
    own.forward(BATCH),
    own.gradients([BATCH]),
    own.logits(Int32Array.of(1)),
    own.forward(OTHER),
  ]);
  own.dispose();
  const [first, second, , last] = await results;
  assert.equal(first.loss, second.loss);
  assert.equal(last.loss, (Y[1] + Y[2]) / 2);
  await assert.rejects(own.forward(BATCH), /disposed/);
});

Deno.test("load() maps what fits, converts what does not, and refuses short files", async () => {
  const file = Deno.makeTempFileSync();
  try {
    // 2 bytes of header: unaligned float32, aligned 16-bit types.
    const view = new DataView(new ArrayBuffer(2 + 20 + 10 + 10));
    TABLE.forEach((value, i) => view.setFloat32(2 + 4 * i, value, true));
    TABLE.forEach((value, i) => view.setUint16(22 + 2 * i, bf16Bits(value), true));
    TABLE.forEach((value, i) => view.setFloat16(32 + 2 * i, -value / 1e6, true));
    Deno.writeFileSync(file, new Uint8Array(view.buffer));
    const own = await engine();
    own.load("table", { file, byteOffset: 2, dtype: "F32" });
    assert.deepEqual(own.read("table"), TABLE);
    own.load("table", { file, byteOffset: 22, dtype: "BF16" });
    assert.deepEqual(own.read("table"), TABLE);
    own.load("parameters", { file, byteOffset: 32, dtype: "F16" });
    const halves = Array.from(TABLE, (_, i) => view.getFloat16(32 + 2 * i, true));
    assert.deepEqual([...own.read("parameters")], halves, "subnormal halves too");
    const short = () => own.load("table", { file, byteOffset: 24, dtype: "F32" });
    assert.throws(short, (error) => error instanceof PacacError && error.code === "io");
    const missing = { file: `${file}.none`, byteOffset: 0, dtype: "F32" } as const;
    assert.throws(() => own.load("table", missing), /No such file/);
    assert.throws(() => own.load("input_ids", { ...missing, file }), /integers/);
    assert.deepEqual(own.read("table"), TABLE, "a failed load changes nothing");
    own.dispose();
  } finally {
    Deno.removeSync(file);
  }
});

function bf16Bits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0] >>> 16;
}

Deno.test("a mapped weight is used in place and never written through", async () => {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, new Uint8Array(TABLE.slice().buffer));
    const own = new NativeEngine(await toy(), { info: plan.info });
    own.load("table", { file, byteOffset: 0, dtype: "F32" });
    assert.equal(own.memory().weightsCopied, 0);
    own.write("table", START);
    assert.deepEqual(own.read("table"), START);
    assert.ok(own.memory().weightsCopied > 0);
    assert.deepEqual(new Float32Array(Deno.readFileSync(file).buffer), TABLE);
    await assert.rejects(own.forward(BATCH), /layers\.0\.gain was never loaded/);
    own.dispose();
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("bad values are errors before native code indexes with them", async () => {
  const own = await engine();
  const bad: readonly (readonly [Partial<Batch>, RegExp])[] = [
    [{ inputIds: Int32Array.of(0, 1, 2, 3, 4, 5, 1, 1) }, /input_ids cannot hold 5 \(at 5\)/],
    [{ inputIds: Int32Array.of(0, 1, 2, 3, -1, 0, 1, 1) }, /input_ids cannot hold -1/],
    [{ labels: Int32Array.of(0, 1, 2, 3, 9, 0, 1, 1) }, /labels cannot hold 9/],
    [{ labels: new Int32Array(7) }, /labels has 8 values, got 7/],
  ];
  for (const [change, message] of bad) {
    await assert.rejects(
      own.step([BATCH, { ...BATCH, ...change }], SETTINGS),
      (error) =>
        error instanceof PacacError && error.code === "batch-invalid" &&
        message.test(error.message),
    );
  }
  await assert.rejects(own.step([], SETTINGS), /no batch/);
  await assert.rejects(own.logits(Int32Array.of(8)), /no such row/);
  assert.throws(() => own.write("parameters", new Float32Array(4)), /has 5 values, got 4/);
  assert.throws(() => own.write("parameters", new Int32Array(5)), /floats/);
  assert.throws(() => own.write("nothing", new Int32Array(5)), /no(ne|thing)/);
  assert.throws(() => own.write("rows", Int32Array.of(0, 8)), /cannot hold 8/);
  own.dispose();
  const module = await toy();
  assert.throws(
    () => new NativeEngine(module, { info: plan.info, threads: 5 }),
    (error) => error instanceof PacacError && /1 to 4 threads/.test(error.message),
  );
});

Deno.test("layers become one function and a table", () => {
  const { sources } = emitProgram(plan, { renderer: testRenderer() });
  const schedule = sources.find(({ file }) => file === "schedule.cpp")?.source ?? "";
  assert.match(schedule, /constexpr std::int32_t forward_tensors1\[3\]\[3\]/);
  assert.match(schedule, /for \(const auto& row : forward_tensors1\) forward_layer\(run, row\);/);
  assert.equal(schedule.match(/run\(use::shift_/g)?.length, 1);
  assert.equal(sources.filter(({ file }) => file.includes("shift")).length, 1);
});
