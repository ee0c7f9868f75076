/**
 * GGUF headers: what a sound file says, and that a hostile one is refused with the byte, whatever is wrong with it.
 * @module
 */
import assert from "node:assert/strict";
import { PacacError } from "../../src/errors.ts";
import { openGgufFile } from "../../src/formats/gguf_header.ts";
import { flag, type GgufMetadata, list, text, u32 } from "../../src/formats/gguf_types.ts";
import { writeGguf } from "../../src/formats/gguf_writer.ts";
import { assertFails, TempFolder } from "./support.ts";

type Part = string | Uint8Array | readonly ["u8" | "u32" | "u64", number | bigint];

/** A text with its length before it. */
function named(name: string): Part[] {
  return [["u64", new TextEncoder().encode(name).length], name];
}

/** A tensor's entry: sizes innermost first. */
function entry(
  name: string,
  sizes: readonly (number | bigint)[],
  at: { readonly type?: number; readonly offset?: number } = {},
): Part[] {
  const dimensions = sizes.map((size): Part => ["u64", size]);
  const { type = 0, offset = 0 } = at;
  return [...named(name), ["u32", sizes.length], ...dimensions, ["u32", type], ["u64", offset]];
}

function bytesOf(parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "string") return [...new TextEncoder().encode(part)];
    if (part instanceof Uint8Array) return [...part];
    const [type, value] = part;
    const view = new DataView(new ArrayBuffer(type === "u8" ? 1 : type === "u32" ? 4 : 8));
    if (type === "u8") view.setUint8(0, Number(value));
    else if (type === "u32") view.setUint32(0, Number(value), true);
    else view.setBigUint64(0, BigInt(value), true);
    return [...new Uint8Array(view.buffer)];
  }));
}

/** A file: magic, version, counts, then parts, padding, 64 bytes of data. */
function fileOf(
  parts: readonly Part[],
  counts: { readonly tensors?: number | bigint; readonly keys?: number | bigint } = {},
): Uint8Array {
  const { tensors = 0, keys = 0 } = counts;
  const head = bytesOf(["GGUF", ["u32", 3], ["u64", tensors], ["u64", keys], ...parts]);
  return bytesOf([head, new Uint8Array(Math.ceil(head.length / 32) * 32 - head.length + 64)]);
}

const u32Key = (key: string, value: number): Part[] => [...named(key), ["u32", 4], ["u32", value]];

interface Hostile {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly says: string | RegExp;
}

const HOSTILE: readonly Hostile[] = [
  { what: "empty", bytes: new Uint8Array(0), says: "ends after 0 bytes" },
  { what: "other magic", bytes: bytesOf(["GGML", ["u32", 3]]), says: "does not start with GGUF" },
  { what: "version 1", bytes: bytesOf(["GGUF", ["u32", 1]]), says: "its version is 1" },
  { what: "big-endian", bytes: bytesOf(["GGUF", ["u32", 0x03000000]]), says: "big-endian" },
  { what: "cut in the counts", bytes: fileOf([]).subarray(0, 20), says: "24 are needed" },
  {
    what: "2^63 tensors",
    bytes: fileOf([], { tensors: 2n ** 63n }),
    says: /9223372036854775808 tensors are more than/,
  },
  { what: "tensors beyond the end", bytes: fileOf([], { tensors: 60000 }), says: "do not fit" },
  { what: "keys beyond the end", bytes: fileOf([], { keys: 60000 }), says: "do not fit" },
  {
    what: "a key longer than the file",
    bytes: fileOf([["u64", 60000], "k"], { keys: 1 }),
    says: "do not fit",
  },
  {
    what: "a key of 2^64 - 1 bytes",
    bytes: fileOf([["u64", 2n ** 64n - 1n]], { keys: 1 }),
    says: "bytes of a key are more than 65535",
  },
  {
    what: "a key that is no UTF-8",
    bytes: fileOf([["u64", 1], Uint8Array.of(0xff), ["u32", 4], ["u32", 1]], { keys: 1 }),
    says: /\+32: .*not UTF-8/,
  },
  {
    what: "an empty key",
    bytes: fileOf(u32Key("", 1), { keys: 1 }),
    says: "a key is empty",
  },
  {
    what: "a key twice",
    bytes: fileOf([...u32Key("a", 1), ...u32Key("a", 2)], { keys: 2 }),
    says: /\+41 \(a\): .*there twice/,
  },
  {
    what: "an unknown type of value",
    bytes: fileOf([...named("a"), ["u32", 13], ["u32", 0]], { keys: 1 }),
    says: /\+33 \(a\): .*no type 13/,
  },
  {
    what: "a bool of 2",
    bytes: fileOf([...named("a"), ["u32", 7], ["u8", 2]], { keys: 1 }),
    says: "2 is neither true nor false",
  },
  {
    what: "arrays in arrays",
    bytes: fileOf([...named("a"), ["u32", 9], ["u32", 9], ["u64", 1]], { keys: 1 }),
    says: "arrays of arrays",
  },
  {
    what: "an array longer than the file",
    bytes: fileOf([...named("a"), ["u32", 9], ["u32", 4], ["u64", 100000]], { keys: 1 }),
    says: "100000 elements of a do not fit",
  },
  {
    what: "an array of 2^40",
    bytes: fileOf([...named("a"), ["u32", 9], ["u32", 0], ["u64", 2n ** 40n]], { keys: 1 }),
    says: "are more than 16777216",
  },
  {
    what: "texts longer than the file",
    bytes: fileOf([...named("a"), ["u32", 8], ["u64", 1000]], { keys: 1 }),
    says: "1000 bytes of a do not fit",
  },
  ...[0, 7, 24, 1 << 30].map((alignment) => ({
    what: `alignment ${alignment}`,
    bytes: fileOf(u32Key("general.alignment", alignment), { keys: 1 }),
    says: "a power of two",
  })),
  {
    what: "alignment as text",
    bytes: fileOf([...named("general.alignment"), ["u32", 8], ...named("32")], { keys: 1 }),
    says: "a power of two",
  },
  { what: "no name", bytes: fileOf(entry("", [4]), { tensors: 1 }), says: "name is empty" },
  {
    what: "a long name",
    bytes: fileOf(entry("x".repeat(128), [4]), { tensors: 1 }),
    says: "more than 127",
  },
  { what: "no dimension", bytes: fileOf(entry("t", []), { tensors: 1 }), says: "0 dimensions" },
  {
    what: "5 dimensions",
    bytes: fileOf(entry("t", [1, 1, 1, 1, 1]), { tensors: 1 }),
    says: "5 dimensions",
  },
  { what: "a size of 0", bytes: fileOf(entry("t", [4, 0]), { tensors: 1 }), says: "a size is 0" },
  {
    what: "a size of 2^63",
    bytes: fileOf(entry("t", [2n ** 63n]), { tensors: 1 }),
    says: "a size is 9223372036854775808",
  },
  {
    what: "sizes whose product wraps around",
    bytes: fileOf(entry("t", [2n ** 32n, 2n ** 32n, 2]), { tensors: 1 }),
    says: "no whole number of blocks",
  },
  {
    what: "a type that is none",
    bytes: fileOf(entry("t", [4], { type: 99 }), { tensors: 1 }),
    says: /\+45 \(t\): .*type 99 is none of F32/,
  },
  {
    what: "rows that are no whole blocks",
    bytes: fileOf(entry("t", [16, 2], { type: 8 }), { tensors: 1 }),
    says: "no whole number of blocks",
  },
  {
    what: "an offset that is not aligned",
    bytes: fileOf(entry("t", [4], { offset: 8 }), { tensors: 1 }),
    says: /\+49 \(t\): .*no multiple of 32/,
  },
  {
    what: "data beyond the end",
    bytes: fileOf(entry("t", [17]), { tensors: 1 }),
    says: "it ends at byte 132, the file at 128",
  },
  {
    what: "an offset near 2^64",
    bytes: fileOf([...entry("t", [4]).slice(0, -1), ["u64", 2n ** 64n - 32n]], { tensors: 1 }),
    says: "it ends at byte 184467440737095516",
  },
  {
    what: "overlap",
    bytes: fileOf([...entry("a", [9]), ...entry("b", [4], { offset: 32 })], { tensors: 2 }),
    says: /\(b\): .*overlaps the one before/,
  },
  {
    what: "a name twice",
    bytes: fileOf([...entry("a", [4]), ...entry("a", [4], { offset: 32 })], { tensors: 2 }),
    says: "the name is there twice",
  },
];

Deno.test.each(HOSTILE.map((one) => [one.what, one] as const))(
  "gguf: refused: %s",
  (_, { bytes, says }) => {
    using folder = new TempFolder();
    const file = folder.write("a.gguf", bytes);
    const error = assertFails(() => openGgufFile(file), "gguf-invalid", says);
    assert.equal(error.place.file, file);
    assert.notEqual(error.remedy, "");
  },
);

Deno.test("gguf: every cut of a sound file and every changed byte is read or refused, never a fault", () => {
  using folder = new TempFolder();
  const file = folder.file("a.gguf");
  writeGguf(file, { metadata: EVERYTHING, tensors: TENSORS });
  const sound = Deno.readFileSync(file);
  const judge = (bytes: Uint8Array) => {
    Deno.writeFileSync(file, bytes);
    try {
      openGgufFile(file);
      return "read";
    } catch (error) {
      assert.ok(error instanceof PacacError && error.code === "gguf-invalid", `${error}`);
      return "refused";
    }
  };
  // The last 28 bytes are padding behind the last tensor.
  for (let end = 0; end < sound.length - 28; end += 3) {
    assert.equal(judge(sound.slice(0, end)), "refused");
  }
  const seen = new Set<string>();
  for (let at = 0; at < sound.length; at += 7) {
    for (const value of [0, 0xff, sound[at] ^ 1]) {
      const changed = sound.slice();
      changed[at] = value;
      seen.add(judge(changed));
    }
  }
  assert.equal(seen.size, 2);
});

const EVERYTHING: GgufMetadata = new Map([
  ["general.architecture", text("llama – ü")],
  ["a.flag", flag(true)],
  ["a.count", u32(4294967295)],
  ["a.large", { type: "u64", value: 2n ** 63n }],
  ["a.small", { type: "i64", value: -5n }],
  ["a.byte", { type: "i8", value: -128 }],
  ["a.short", { type: "i16", value: -32768 }],
  ["a.half", { type: "u16", value: 65535 }],
  ["a.octet", { type: "u8", value: 255 }],
  ["a.int", { type: "i32", value: -2147483648 }],
  ["a.real", { type: "f32", value: 0.5 }],
  ["a.double", { type: "f64", value: 0.1 }],
  ["a.texts", list("string", ["", "Ġthe", "日"])],
  ["a.numbers", list("f32", [1, -2, 0.25])],
  ["a.nothing", list("i32", [])],
]);
const TENSORS = [
  { name: "one", dtype: "F32", shape: [2, 3], bytes: () => [new Uint8Array(24).fill(1)] },
  { name: "two", dtype: "Q8_0", shape: [2, 32], bytes: () => [new Uint8Array(68).fill(2)] },
] as const;

Deno.test("gguf: what is written is read back, aligned, header alone in memory", () => {
  using folder = new TempFolder();
  const path = folder.file("a.gguf");
  writeGguf(path, { metadata: EVERYTHING, tensors: TENSORS });
  const { version, metadata, tensors } = openGgufFile(path);
  assert.equal(version, 3);
  assert.deepEqual(metadata, EVERYTHING);
  const one = tensors.get("one") ?? assert.fail();
  const two = tensors.get("two") ?? assert.fail();
  assert.deepEqual([one.shape, one.dtype, one.byteLength], [[2, 3], "F32", 24]);
  assert.deepEqual([two.shape, two.dtype, two.byteLength], [[2, 32], "Q8_0", 68]);
  assert.equal(one.byteOffset % 32, 0);
  assert.equal(two.byteOffset, one.byteOffset + 32);
  const bytes = Deno.readFileSync(path);
  assert.equal(bytes.length, two.byteOffset + 96);
  assert.ok(bytes.subarray(two.byteOffset, two.byteOffset + 68).every((byte) => byte === 2));
  assert.deepEqual(folder.names(), ["a.gguf"]);
});

Deno.test("gguf: version 2 and another alignment are read", () => {
  using folder = new TempFolder();
  const parts = [...u32Key("general.alignment", 64), ...entry("t", [4], { offset: 64 })];
  const head = bytesOf(["GGUF", ["u32", 2], ["u64", 1], ["u64", 1], ...parts]);
  const data = new Uint8Array(Math.ceil(head.length / 64) * 64 + 128);
  data.set(head);
  const { version, tensors } = openGgufFile(folder.write("a.gguf", data));
  assert.equal(version, 2);
  assert.equal(tensors.get("t")?.byteOffset, Math.ceil(head.length / 64) * 64 + 64);
});
