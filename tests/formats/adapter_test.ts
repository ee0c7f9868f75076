/**
 * Adapter folders: the three forms against hand-computed updates, and every way not to fit.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Bug } from "../../src/errors.ts";
import {
  ADAPTER_FORMATS,
  type AdapterBuild,
  fromFloat32,
  openSafetensors,
  readAdapter,
  readFloat32,
  tensorOf,
  type TensorToWrite,
  writeAdapter,
  writeSafetensors,
} from "../../src/formats/mod.ts";
import { assertFails, f32, TempFolder } from "./support.ts";

const Q = { module: "model.layers.0.self_attn.q_proj", outFeatures: 2, inFeatures: 5 };
const V = { module: "model.layers.0.self_attn.v_proj", outFeatures: 1, inFeatures: 5 };
const BUILD: AdapterBuild = { modules: [Q, V], rank: 2, alpha: 4 };
const UPDATES = [
  { ...Q, indices: Int32Array.of(1, 4), delta: Float32Array.of(1, 2, 3, 4) },
  { ...V, indices: Int32Array.of(0, 3), delta: Float32Array.of(-5, 0.5) },
];
const READ = UPDATES.map(({ module, indices, delta }) => ({ module, indices, delta }));

// W0[o, i] = 10·o + i, exact in float32.
function baseColumns(module: string, indices: Int32Array): Float32Array {
  const rows = module === Q.module ? 2 : 1;
  const values = Array.from({ length: rows }, (_, o) => [...indices].map((i) => 10 * o + i));
  return Float32Array.from(values.flat());
}

const common = { baseModel: "org/tiny", baseColumns, rank: 2, alpha: 4 };
const key = (module: string, name: string) => `base_model.model.${module}.${name}`;

function i64(name: string, values: readonly number[]): TensorToWrite {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, dtype: "I64", shape: [values.length], bytes };
}

/** An adapter folder made by hand. */
function made(folder: TempFolder, config: object, tensors: readonly TensorToWrite[]): string {
  folder.write("adapter_config.json", config);
  writeSafetensors(folder.file("adapter_model.safetensors"), tensors);
  return folder.path;
}

function pacaTensors(indices: readonly number[] = [1, 4], kind = "paca_delta"): TensorToWrite[] {
  return [
    f32(key(Q.module, kind), [2, 2], [1, 2, 3, 4]),
    i64(key(Q.module, "paca_indices"), indices),
    f32(key(V.module, kind), [1, 2], [-5, 0.5]),
    i64(key(V.module, "paca_indices"), [0, 3]),
  ];
}

const PACA = { peft_type: "PACA", r: 2, paca_alpha: 4 };

for (const format of ADAPTER_FORMATS) {
  Deno.test(`an adapter written as ${format} reads back`, () => {
    using folder = new TempFolder();
    writeAdapter(folder.path, UPDATES, { ...common, format });
    assert.deepEqual(folder.names(), [
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
    const alpha = format === "lora" ? 2 : 4;
    assert.deepEqual(readAdapter(folder.path, BUILD, { baseColumns }), {
      format,
      baseModel: "org/tiny",
      rank: 2,
      alpha,
      modules: READ,
    });
  });
}

Deno.test("peft form: keys, shapes and settings as peft stores them", () => {
  using folder = new TempFolder();
  writeAdapter(folder.path, UPDATES, { ...common, targetModules: ["q_proj", "v_proj"] });
  const file = openSafetensors(folder.file("adapter_model.safetensors"));
  const shapes = [...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, shape]);
  assert.deepEqual(shapes, [
    [key(Q.module, "paca_indices"), "I64", [2]],
    [key(V.module, "paca_indices"), "I64", [2]],
    [key(Q.module, "paca_delta"), "F32", [2, 2]],
    [key(V.module, "paca_delta"), "F32", [1, 2]],
  ]);
  assert.deepEqual(file.metadata, { format: "pt" });
  const config = JSON.parse(Deno.readTextFileSync(folder.file("adapter_config.json")));
  const { peft_type, r, paca_alpha, task_type, target_modules } = config;
  assert.deepEqual([peft_type, r, paca_alpha, task_type], ["PACA", 2, 4, "CAUSAL_LM"]);
  assert.deepEqual(target_modules, ["q_proj", "v_proj"]);
});

Deno.test("lora form: (alpha/r)·B·A is s·D in its columns and 0 elsewhere", () => {
  using folder = new TempFolder();
  writeAdapter(folder.path, UPDATES, { ...common, format: "lora" });
  const file = openSafetensors(folder.file("adapter_model.safetensors"));
  const a = readFloat32(tensorOf(file, key(Q.module, "lora_A.weight")));
  const b = readFloat32(tensorOf(file, key(Q.module, "lora_B.weight")));
  const config = JSON.parse(Deno.readTextFileSync(folder.file("adapter_config.json")));
  const at = (m: Float32Array, i: number) => m[i] ?? NaN;
  const update = (o: number, i: number) =>
    config.lora_alpha / config.r * (at(b, o * 2) * at(a, i) + at(b, o * 2 + 1) * at(a, 5 + i));
  const rows = [0, 1].map((o) => [0, 1, 2, 3, 4].map((i) => update(o, i)));
  assert.deepEqual(rows, [[0, 2, 0, 0, 4], [0, 6, 0, 0, 8]]);
});

Deno.test("paper's form: unsorted indices are sorted with their columns, W0 is taken out", () => {
  using folder = new TempFolder();
  // s = 2, idx = [4, 1]: P = W0[:, idx]/2 + D with D = [[2, 1], [4, 3]].
  const tensors = pacaTensors([4, 1], "paca_w");
  tensors[0] = f32(key(Q.module, "paca_w"), [2, 2], [4 / 2 + 2, 1 / 2 + 1, 14 / 2 + 4, 11 / 2 + 3]);
  tensors[2] = f32(key(V.module, "paca_w"), [1, 2], [0 / 2 - 5, 3 / 2 + 0.5]);
  const path = made(folder, PACA, tensors);
  const adapter = readAdapter(path, BUILD, { baseColumns });
  assert.deepEqual([adapter.format, adapter.modules], ["paca", READ]);
  assertFails(() => readAdapter(path, BUILD), "adapter-invalid", "--weights DIR");
});

Deno.test("another scale in the file is folded into the deltas", () => {
  using folder = new TempFolder();
  const path = made(folder, { ...PACA, paca_alpha: 16 }, pacaTensors());
  const adapter = readAdapter(path, BUILD);
  assert.deepEqual(adapter.modules[0]?.delta, Float32Array.of(4, 8, 12, 16));
  const lora = { peft_type: "LORA", r: 4, lora_alpha: 8, use_rslora: true };
  const one = { module: "m", outFeatures: 1, inFeatures: 4 };
  const a = [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
  made(folder, lora, [
    f32(key("m", "lora_A.weight"), [4, 4], a),
    f32(key("m", "lora_B.weight"), [1, 4], [1, 2, 3, 4]),
  ]);
  // rsLoRA: s = 8/√4 = 4; the build's is 2.
  const read = readAdapter(path, { modules: [one], rank: 4, alpha: 8 });
  assert.deepEqual(read.modules, [
    { module: "m", indices: Int32Array.of(0, 1, 2, 3), delta: Float32Array.of(2, 6, 4, 8) },
  ]);
});

Deno.test("16-bit deltas are widened", () => {
  using folder = new TempFolder();
  const tensors = pacaTensors();
  const bytes = fromFloat32(Float32Array.of(1, 2, 3, 4), "BF16");
  tensors[0] = { name: key(Q.module, "paca_delta"), dtype: "BF16", shape: [2, 2], bytes };
  assert.deepEqual(readAdapter(made(folder, PACA, tensors), BUILD).modules, READ);
});

const replaced = (i: number, tensor: TensorToWrite) => pacaTensors().with(i, tensor);
const index = key(Q.module, "paca_indices");
const delta = key(Q.module, "paca_delta");
const lora = (a: number[]) => [
  f32(key(Q.module, "lora_A.weight"), [2, 5], a),
  f32(key(Q.module, "lora_B.weight"), [2, 2], [1, 2, 3, 4]),
  f32(key(V.module, "lora_A.weight"), [2, 5], [1, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
  f32(key(V.module, "lora_B.weight"), [1, 2], [1, 2]),
];
const LORA = { peft_type: "LORA", r: 2, lora_alpha: 2 };

const WRONG: [string, object, TensorToWrite[], string | RegExp][] = [
  ["rank", { ...PACA, r: 3 }, pacaTensors(), "compile with rank 3"],
  ["no rank", { peft_type: "PACA" }, pacaTensors(), "(r)"],
  ["another method", { ...PACA, peft_type: "VERA" }, pacaTensors(), "(peft_type)"],
  ["alpha", { ...PACA, paca_alpha: 0 }, pacaTensors(), "(paca_alpha)"],
  ["rank pattern", { ...PACA, rank_pattern: { q_proj: 3 } }, pacaTensors(), "rank_pattern"],
  ["DoRA", { ...LORA, use_dora: true }, lora([1, 0, 0, 0, 0, 0, 1, 0, 0, 0]), "(use_dora)"],
  ["missing module", PACA, pacaTensors().slice(0, 2), "tensor is missing"],
  ["extra module", PACA, [...pacaTensors(), f32("more", [1], [1])], "no place for the tensor"],
  ["nothing", PACA, [], "neither paca_delta nor paca_w"],
  ["both", PACA, [...pacaTensors(), ...pacaTensors([1, 4], "paca_w").slice(0, 1)], "both"],
  ["shape", PACA, replaced(0, f32(delta, [4], [1, 2, 3, 4])), "[2, 2] is needed"],
  ["swapped", PACA, replaced(2, f32(key(V.module, "paca_delta"), [2, 1], [1, 2])), "[1, 2] is"],
  ["too many indices", PACA, replaced(1, i64(index, [0, 1, 2])), "[2] is needed"],
  ["negative index", PACA, pacaTensors([-1, 2]), "column -1 is not within 5"],
  ["index too large", PACA, pacaTensors([1, 5]), "column 5 is not within 5"],
  ["index twice", PACA, pacaTensors([3, 3]), "there twice"],
  ["float indices", PACA, replaced(1, f32(index, [2], [1, 4])), "I64 is needed"],
  ["whole deltas", PACA, replaced(0, { ...i64(delta, [1, 2, 3, 4]), shape: [2, 2] }), "floats"],
  ["not a number", PACA, replaced(0, f32(delta, [2, 2], [1, NaN, 3, 4])), "finite"],
  ["general LoRA", LORA, lora([1, 0.5, 0, 0, 0, 0, 1, 0, 0, 0]), /row 0 .*\n.*merge it/],
  ["scaled row", LORA, lora([2, 0, 0, 0, 0, 0, 1, 0, 0, 0]), "row 0 of A is no unit vector"],
  ["empty row", LORA, lora([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "row 1 of A is no unit vector"],
  ["two ones", LORA, lora([1, 0, 0, 0, 0, 0, 1, 1, 0, 0]), "row 1 of A is no unit vector"],
  ["same column", LORA, lora([1, 0, 0, 0, 0, 1, 0, 0, 0, 0]), "same column"],
];

for (const [name, config, tensors, part] of WRONG) {
  Deno.test(`an adapter that does not fit is refused: ${name}`, () => {
    using folder = new TempFolder();
    const path = made(folder, config, tensors);
    assertFails(() => readAdapter(path, BUILD, { baseColumns }), "adapter-invalid", part);
  });
}

Deno.test("missing files and damaged settings", () => {
  using folder = new TempFolder();
  const read = () => readAdapter(folder.path, BUILD);
  assertFails(read, "adapter-invalid", "adapter_config.json: Cannot read adapter: the file is not");
  folder.write("adapter_config.json", "{");
  assertFails(read, "adapter-invalid", "Cannot parse JSON");
  folder.write("adapter_config.json", PACA);
  assertFails(read, "adapter-invalid", "adapter_model.safetensors: Cannot read adapter");
  folder.write("adapter_model.safetensors", "short");
  assertFails(read, "safetensors-invalid", "not even 8");
});

Deno.test("updates that do not fit their layer are the writer's bug", () => {
  using folder = new TempFolder();
  const write = (fields: object) => () =>
    writeAdapter(folder.file("a"), [{ ...UPDATES[0] ?? assert.fail(), ...fields }], common);
  assert.throws(write({ indices: Int32Array.of(4, 1) }), Bug);
  assert.throws(write({ indices: Int32Array.of(1, 5) }), Bug);
  assert.throws(write({ indices: Int32Array.of(1) }), Bug);
  assert.throws(write({ delta: new Float32Array(3) }), Bug);
  assert.deepEqual(folder.names(), []);
});

Deno.test("property: every form keeps the update s·D, whatever sizes and scale", () => {
  using folder = new TempFolder();
  const sizes = fc.record({
    out: fc.integer({ min: 1, max: 5 }),
    columns: fc.uniqueArray(fc.nat(11), { minLength: 1, maxLength: 6 }),
    alpha: fc.integer({ min: 1, max: 40 }),
    seed: fc.nat(1000),
    format: fc.constantFrom(...ADAPTER_FORMATS),
  });
  fc.assert(
    fc.property(sizes, ({ out, columns, alpha, seed, format }) => {
      const rank = columns.length;
      const module = { module: "m.x", outFeatures: out, inFeatures: 12 };
      const indices = Int32Array.from(columns).sort();
      const wave = (_: unknown, i: number) => Math.sin(seed + 7 * i);
      const delta = Float32Array.from({ length: out * rank }, wave);
      const base = () => Float32Array.from({ length: out * rank }, (_, i) => wave(_, i + 99));
      const settings = { rank, alpha, baseColumns: base, baseModel: "" };
      writeAdapter(folder.path, [{ ...module, indices, delta }], { ...settings, format });
      const read = readAdapter(folder.path, { modules: [module], rank, alpha }, settings);
      const [update = assert.fail()] = read.modules;
      assert.deepEqual(update.indices, indices);
      // "paca" adds and takes away W0/s, up to rank/alpha ≤ 6 in size: a few units of 2^-24 · 6.
      const tolerance = format === "peft" ? 0 : 1e-6;
      update.delta.forEach((d, i) => assert.ok(Math.abs(d - (delta[i] ?? NaN)) <= tolerance));
    }),
    { seed: 6, numRuns: 60 },
  );
});
