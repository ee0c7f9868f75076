/**
 * Safetensors: round trips, every hostile file by hand, and seeded fuzzing of files and headers.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Bug, PacacError } from "../../src/errors.ts";
import {
  byteChunks,
  type Dtype,
  DTYPE_SIZES,
  fromBf16,
  fromFloat32,
  openSafetensors,
  readBytes,
  readFloat32,
  readInt32,
  tensorOf,
  toBf16,
  writeSafetensors,
} from "../../src/formats/mod.ts";
import { assertFails, f32, rawSafetensors, TempFolder } from "./support.ts";

const GOLDEN = new URL("../golden/llama_tied/model.safetensors", import.meta.url).pathname;

Deno.test("a file written by another library reads, and writes back to the same tensors", () => {
  using folder = new TempFolder();
  const file = openSafetensors(GOLDEN);
  const norm = tensorOf(file, "model.norm.weight");
  assert.deepEqual([norm.dtype, norm.shape, norm.byteLength], ["F32", [48], 192]);
  assert.ok(readFloat32(norm).every((value) => Number.isFinite(value) && value !== 0));
  const copy = folder.file("copy.safetensors");
  const tensors = [...file.tensors.values()].map((tensor) => ({
    ...tensor,
    bytes: () => byteChunks(tensor, 1000),
  }));
  writeSafetensors(copy, tensors, { metadata: { format: "pt" } });
  const again = openSafetensors(copy);
  assert.deepEqual(again.metadata, { format: "pt" });
  assert.equal(again.tensors.size, file.tensors.size);
  for (const [name, tensor] of file.tensors) {
    assert.deepEqual(readBytes(tensorOf(again, name)), readBytes(tensor), name);
  }
});

Deno.test("dtypes widen to float32 and int32", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  const values = Float32Array.of(1, -2.5, 0.15625, Infinity);
  const floats = (["F64", "F32", "F16", "BF16"] as const).map((dtype) => ({
    name: dtype,
    dtype,
    shape: [2, 2],
    bytes: fromFloat32(values, dtype),
  }));
  const wide = new Uint8Array(BigInt64Array.of(-1n, 2147483647n).buffer);
  const beyond = new Uint8Array(BigInt64Array.of(2147483648n).buffer);
  const narrow = new Uint8Array(Int32Array.of(7, -8).buffer);
  writeSafetensors(path, [
    ...floats,
    { name: "i64", dtype: "I64", shape: [2], bytes: wide },
    { name: "far", dtype: "I64", shape: [1], bytes: beyond },
    { name: "i32", dtype: "I32", shape: [2], bytes: narrow },
  ]);
  const file = openSafetensors(path);
  for (const { name } of floats) assert.deepEqual(readFloat32(tensorOf(file, name)), values);
  assert.deepEqual(readInt32(tensorOf(file, "i64")), Int32Array.of(-1, 2147483647));
  assert.deepEqual(readInt32(tensorOf(file, "i32")), Int32Array.of(7, -8));
  assertFails(() => readInt32(tensorOf(file, "far")), "weights-mismatch", "beyond int32");
  assertFails(() => readInt32(tensorOf(file, "F32")), "weights-mismatch", "I64 or I32");
  assertFails(() => readFloat32(tensorOf(file, "i32")), "weights-mismatch", "dtype is I32");
  assertFails(() => tensorOf(file, "nothing"), "weights-mismatch", "(nothing)");
});

Deno.test("bfloat16 rounds to the nearest, ties to even, and keeps NaN and infinity", () => {
  const cases: [number, number][] = [
    [0x3f800000, 0x3f80], // 1
    [0x3f808000, 0x3f80], // tie: even stays
    [0x3f818000, 0x3f82], // tie: odd rises
    [0x3f808001, 0x3f81],
    [0x7f7fffff, 0x7f80], // the largest float becomes infinite
    [0x7f800000, 0x7f80],
    [0x80000000, 0x8000],
    [0x7f800001, 0x7fc0], // a NaN whose upper half alone would be infinity
    [0xffc00000, 0xffc0],
  ];
  const values = new Float32Array(Uint32Array.from(cases, ([bits]) => bits).buffer);
  assert.deepEqual([...toBf16(values)], cases.map(([, bits]) => bits));
  fc.assert(
    fc.property(
      fc.float({
        noNaN: true,
        noDefaultInfinity: true,
        max: Math.fround(1e30),
        min: Math.fround(-1e30),
      }),
      (x) => {
        const [rounded = NaN] = fromBf16(toBf16(Float32Array.of(x)));
        assert.ok(Math.abs(rounded - x) <= Math.abs(x) / 256 + 1e-40);
        assert.deepEqual(toBf16(Float32Array.of(rounded)), toBf16(Float32Array.of(x)));
      },
    ),
    { seed: 3 },
  );
});

const one = (more: object = {}) => ({ dtype: "F32", shape: [2], data_offsets: [0, 8], ...more });
const huge = new Uint8Array(8).fill(0xff);

const HOSTILE: [string, Uint8Array, string][] = [
  ["empty", new Uint8Array(0), "has 0 bytes, not even 8"],
  ["seven bytes", new Uint8Array(7), "has 7 bytes, not even 8"],
  ["header longer than a double counts", huge, "are more than 100000000"],
  ["header over the limit", headerOf(100_000_001n), "are more than 100000000"],
  ["header beyond the end", headerOf(100n), "the file ends after 2"],
  ["empty header", rawSafetensors("", 0), "does not start with {"],
  ["leading space", rawSafetensors(" {}", 0), "does not start with {"],
  ["array", rawSafetensors("[]", 0), "does not start with {"],
  ["no JSON", rawSafetensors("{oh", 0), "Cannot parse JSON"],
  ["no UTF-8", rawBytes(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "Cannot parse JSON"],
  ["no object", rawSafetensors({ a: 3 }, 0), "(a)"],
  ["name twice", twice(), "(a): Cannot read header: the name is there twice"],
  ["name twice, escaped", twice("\\u0061"), "the name is there twice"],
  ["dtype twice", rawSafetensors(`{"a":{"dtype":"F32","dtype":"I8"}}`, 0), "there twice"],
  ["empty name", rawSafetensors({ "": one() }, 8), "empty name"],
  ["strange dtype", rawSafetensors({ a: one({ dtype: "F7" }) }, 8), `dtype "F7"`],
  ["inherited dtype", rawSafetensors({ a: one({ dtype: "toString" }) }, 8), `"toString"`],
  ["negative size", rawSafetensors({ a: one({ shape: [-2, -1] }) }, 8), "shape.0"],
  ["fraction", rawSafetensors({ a: one({ shape: [1.5] }) }, 8), "shape.0"],
  ["no shape", rawSafetensors({ a: one({ shape: "x" }) }, 8), "shape"],
  ["strange field", rawSafetensors({ a: one({ more: 1 }) }, 8), "more"],
  ["wrong size", rawSafetensors({ a: one({ shape: [3] }) }, 8), "has 12 bytes"],
  ["end before begin", rawSafetensors({ a: one({ data_offsets: [8, 0] }) }, 8), "hold -8"],
  ["three offsets", rawSafetensors({ a: one({ data_offsets: [0, 4, 8] }) }, 8), "data_offsets"],
  ["overflow", rawSafetensors({ a: one({ shape: [2 ** 31, 2 ** 31, 4] }) }, 8), "more than 2^53"],
  ["overlap", pair([0, 8], [4, 12], 12), "(b): Cannot read tensor: it overlaps the one before"],
  ["same bytes", pair([0, 8], [0, 8], 8), "overlaps"],
  ["hole", pair([0, 8], [12, 20], 20), "(b): Cannot read tensor: it leaves a hole before it"],
  ["hole at the start", rawSafetensors({ a: one({ data_offsets: [4, 12] }) }, 12), "a hole"],
  ["truncated data", rawSafetensors({ a: one() }, 7), "end at byte"],
  ["trailing data", rawSafetensors({ a: one() }, 9), "end at byte"],
  ["offset beyond doubles", rawSafetensors({ a: one({ data_offsets: [0, 2 ** 53] }) }, 8), "2^53"],
  ["metadata of numbers", rawSafetensors({ __metadata__: { a: 1 } }, 0), "must be texts"],
  ["metadata a text", rawSafetensors({ __metadata__: "a" }, 0), "must be texts"],
];

function headerOf(length: bigint): Uint8Array {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

function rawBytes(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + header.length);
  bytes[0] = header.length;
  bytes.set(header, 8);
  return bytes;
}

function twice(second = "a"): Uint8Array {
  const entry = JSON.stringify(one());
  return rawSafetensors(`{"a":${entry}, "${second}" :${entry}}`, 8);
}

function pair(a: number[], b: number[], size: number): Uint8Array {
  return rawSafetensors({ b: one({ data_offsets: b }), a: one({ data_offsets: a }) }, size);
}

for (const [name, bytes, part] of HOSTILE) {
  Deno.test(`hostile file is refused: ${name}`, () => {
    using folder = new TempFolder();
    const path = folder.write("x.safetensors", bytes);
    const error = assertFails(() => openSafetensors(path), "safetensors-invalid", part);
    assert.equal(error.place.file, path);
  });
}

Deno.test("harmless oddities are read: scalars, empty tensors, padding, any order, __proto__", () => {
  using folder = new TempFolder();
  const header = `{"z":{"dtype":"I8","shape":[],"data_offsets":[4,5]},"__metadata__":{"k":"v"},` +
    `"e":{"dtype":"F64","shape":[0,9],"data_offsets":[4,4]},` +
    `"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}    `;
  const file = openSafetensors(folder.write("x.safetensors", rawSafetensors(header, 5)));
  assert.deepEqual([...file.tensors.keys()].sort(), ["__proto__", "e", "z"]);
  assert.deepEqual(readFloat32(tensorOf(file, "e")), new Float32Array(0));
  assert.deepEqual({ ...file.metadata }, { k: "v" });
});

Deno.test("a missing file and a folder are io errors", () => {
  using folder = new TempFolder();
  assertFails(() => openSafetensors(folder.file("none")), "io", "not there");
  assertFails(() => openSafetensors(folder.path), "io", "not there");
});

Deno.test("a file cut after it was opened is an error, not zeros", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  writeSafetensors(path, [f32("a", [2], [1, 2])]);
  const tensor = tensorOf(openSafetensors(path), "a");
  Deno.truncateSync(path, tensor.byteOffset + 4);
  assertFails(() => readFloat32(tensor), "safetensors-invalid", "became shorter");
});

const names = fc.uniqueArray(fc.string({ minLength: 1, unit: "grapheme" }), { maxLength: 6 });
const dtypes = fc.constantFrom(...Object.keys(DTYPE_SIZES) as Dtype[]);

Deno.test("property: what is written is read, whatever the order, name, type and shape", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  const tensor = fc.record({
    dtype: dtypes,
    shape: fc.array(fc.nat(3), { maxLength: 3 }),
    fill: fc.nat(255),
  });
  fc.assert(
    fc.property(names, fc.array(tensor, { minLength: 6, maxLength: 6 }), (keys, made) => {
      const tensors = keys.filter((key) => key !== "__metadata__").map((name, i) => {
        const { dtype, shape, fill } = made[i] ?? { dtype: "U8", shape: [], fill: 0 };
        const size = shape.reduce((a, b) => a * b, DTYPE_SIZES[dtype]);
        return { name, dtype, shape, bytes: new Uint8Array(size).fill(fill) };
      });
      writeSafetensors(path, tensors);
      const first = Deno.readFileSync(path);
      assert.equal(new DataView(first.buffer).getUint32(0, true) % 8, 0);
      const file = openSafetensors(path);
      assert.equal(file.tensors.size, tensors.length);
      for (const { name, dtype, shape, bytes } of tensors) {
        const read = tensorOf(file, name);
        assert.deepEqual([read.dtype, read.shape, readBytes(read)], [dtype, shape, bytes]);
        assert.equal(read.byteOffset % DTYPE_SIZES[dtype], 0);
      }
      writeSafetensors(path, tensors.reverse());
      assert.deepEqual(Deno.readFileSync(path), first);
    }),
    { seed: 1, numRuns: 60 },
  );
});

Deno.test("fuzz: any damage to a file gives a PacacError or a file within bounds", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  writeSafetensors(path, [f32("a", [2], [1, 2]), f32("b.c", [1, 3], [3, 4, 5])], {
    metadata: { format: "pt" },
  });
  const good = Deno.readFileSync(path);
  const damage = fc.record({
    at: fc.nat(good.length - 1),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }),
    length: fc.option(fc.nat(good.length), { freq: 3 }),
  });
  let refused = 0;
  fc.assert(
    fc.property(damage, ({ at, bytes, length }) => {
      const bad = new Uint8Array(good);
      bad.set(bytes.subarray(0, bad.length - at), at);
      Deno.writeFileSync(path, bad.subarray(0, length ?? bad.length));
      refused += survives(path) ? 0 : 1;
    }),
    { seed: 2, numRuns: 400 },
  );
  assert.ok(refused > 100, `only ${refused} were refused`);
});

Deno.test("fuzz: any JSON as header gives a PacacError or a file within bounds", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  const offsets = fc.tuple(fc.integer({ min: -1, max: 9 }), fc.oneof(fc.nat(9), fc.double()));
  const entry = fc.record({
    dtype: fc.oneof(dtypes, fc.string()),
    shape: fc.array(fc.oneof(fc.nat(4), fc.maxSafeNat(), fc.double())),
    data_offsets: offsets,
  }, { requiredKeys: ["dtype"] });
  const header = fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()), { maxKeys: 3 });
  fc.assert(
    fc.property(header, fc.nat(9), (json, size) => {
      Deno.writeFileSync(path, rawSafetensors(json, size));
      survives(path);
    }),
    { seed: 4, numRuns: 300 },
  );
});

// Opens and reads everything; only a PacacError may come out.
function survives(path: string): boolean {
  try {
    const size = Deno.statSync(path).size;
    for (const tensor of openSafetensors(path).tensors.values()) {
      assert.ok(tensor.byteOffset >= 8 && tensor.byteOffset + tensor.byteLength <= size);
      assert.equal(readBytes(tensor).length, tensor.byteLength);
    }
    return true;
  } catch (error) {
    if (error instanceof PacacError) return false;
    throw error;
  }
}

Deno.test("a writer that gets too few bytes or a name twice is a bug and leaves no file", () => {
  using folder = new TempFolder();
  const path = folder.file("x.safetensors");
  const short = { name: "a", dtype: "F32", shape: [2], bytes: new Uint8Array(4) } as const;
  assert.throws(() => writeSafetensors(path, [short]), Bug);
  assert.throws(() => writeSafetensors(path, [f32("a", [], [1]), f32("a", [], [1])]), Bug);
  assert.throws(() => writeSafetensors(path, [f32("", [], [1])]), Bug);
  assert.deepEqual(folder.names(), []);
});
