/**
 * GGUF's element types: decoded to the bits of the golden values, encoded as the reference does.
 * The golden values of all types are beside PACAC_SHARED's golden/; that test is skipped where they are not there.
 * @module
 */
import assert from "node:assert/strict";
import { openSafetensors, readBytes, readFloat32, tensorOf } from "../../src/formats/mod.ts";
import { dequantise } from "../../src/formats/gguf_blocks.ts";
import { quantise, WRITTEN_DTYPES } from "../../src/formats/gguf_quantise.ts";
import { GGUF_DTYPES, type GgufDtype } from "../../src/formats/gguf_types.ts";
import { inRepository } from "../support/paths.ts";
import { assertFails } from "./support.ts";

const SHARED = Deno.env.get("PACAC_SHARED") ?? inRepository("../shared");
const GOLDEN = `${SHARED}/golden/gguf_blocks.safetensors`;
const there = isFile(GOLDEN);

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

const types = Object.keys(GGUF_DTYPES).filter((name) => name !== "F32") as GgufDtype[];
Deno.test.each(types)(
  `gguf: %s has the bits of the golden values${there ? "" : ` (skipped: needs ${GOLDEN})`}`,
  { ignore: !there },
  (dtype) => {
    const golden = openSafetensors(GOLDEN);
    const blocks = readBytes(tensorOf(golden, `${dtype}.blocks`));
    const values = readFloat32(tensorOf(golden, `${dtype}.values`));
    assert.deepEqual(bits(dequantise(blocks, dtype)), bits(values));
    // What a quantiser made of some values it makes of the decoded ones again.
    const written = WRITTEN_DTYPES.find((name) => name === dtype);
    if (written !== undefined) assert.deepEqual(quantise(values, written, { name: "t" }), blocks);
  },
);

Deno.test("gguf: a Q8_0 block by hand: scale, halves away from zero, zeros", () => {
  const values = new Float32Array(64);
  values.set([127, -127, 0.5, -0.5, 1.5, -1.5, 63.49]);
  const block = quantise(values, "Q8_0", { name: "t" });
  assert.deepEqual([...block.subarray(0, 2)], [0x00, 0x3c]);
  const numbers = [...new Int8Array(block.buffer, 2, 7)];
  assert.deepEqual(numbers, [127, -127, 1, -1, 2, -2, 63]);
  assert.ok(block.subarray(34).every((byte) => byte === 0), "a block of zeros has scale 0");
});

Deno.test("gguf: a Q4_0 block by hand: the first of largest magnitude becomes number 0", () => {
  const values = new Float32Array(32);
  values.set([-8, 8, 7, 0.49, 0.5, -0.5, -0.51]);
  values[16] = 1;
  const block = quantise(values, "Q4_0", { name: "t" });
  assert.deepEqual([...block.subarray(0, 2)], [0x00, 0x3c]);
  assert.deepEqual([...block.subarray(2, 9)].map((byte) => byte & 15), [0, 15, 15, 8, 9, 8, 7]);
  assert.equal(block[2] >> 4, 9);
  assert.equal(dequantise(new Uint8Array(block), "Q4_0")[0], -8);
});

Deno.test("gguf: what float16 cannot hold is refused, NaN too", () => {
  for (const dtype of ["F16", "Q8_0", "Q4_0"] as const) {
    for (const value of [NaN, Infinity, 1e9]) {
      const values = new Float32Array(32).fill(value);
      assertFails(() => quantise(values, dtype, { name: "t" }), "weights-mismatch", /\(?t\)?: /);
    }
  }
  const large = new Float32Array(32).fill(1e30);
  assert.deepEqual(dequantise(new Uint8Array(quantise(large, "F32", { name: "t" })), "F32"), large);
});
