/**
 * Merged models: types kept or chosen, values replaced, the source never overwritten.
 * @module
 */
import assert from "node:assert/strict";
import {
  fromFloat32,
  openSafetensors,
  openWeights,
  readBytes,
  readFloat32,
  tensorOf,
  toBf16,
  writeMerged,
  writeSafetensors,
} from "../../src/formats/mod.ts";
import { Bug } from "../../src/errors.ts";
import { assertFails, f32, TempFolder } from "./support.ts";

const VALUES = Float32Array.of(1.001, -2, 3, 4);

function source(folder: TempFolder): string {
  const path = folder.file("base");
  Deno.mkdirSync(path);
  const bytes = new Uint8Array(Int32Array.of(7).buffer);
  writeSafetensors(`${path}/model.safetensors`, [
    f32("wide", [2, 2], [...VALUES]),
    { name: "half", dtype: "BF16", shape: [4], bytes: fromFloat32(VALUES, "BF16") },
    { name: "small", dtype: "F16", shape: [4], bytes: fromFloat32(VALUES, "F16") },
    { name: "whole", dtype: "I32", shape: [1], bytes },
  ]);
  folder.write("base/config.json", { model_type: "llama", dtype: "float32" });
  folder.write("base/tokenizer.json", `{"a" : 1}`);
  folder.write("base/secret.txt", "not a companion");
  return path;
}

Deno.test("merged: each tensor keeps its type, new values replace old, companions come along", () => {
  using folder = new TempFolder();
  const sourceFolder = source(folder);
  const weights = openWeights(sourceFolder);
  const fresh = Float32Array.of(9, 8, 7, 6.00001);
  const merged = (name: string) => name === "half" || name === "wide" ? fresh : undefined;
  writeMerged(folder.file("out"), { weights, merged, sourceFolder });
  const out = openSafetensors(folder.file("out/model.safetensors"));
  assert.deepEqual(out.metadata, { format: "pt" });
  assert.deepEqual(readFloat32(tensorOf(out, "wide")), fresh);
  assert.deepEqual(tensorOf(out, "wide").shape, [2, 2]);
  assert.deepEqual(readFloat32(tensorOf(out, "half")), Float32Array.of(9, 8, 7, 6));
  for (const name of ["small", "whole"]) {
    const old = weights.get(name) ?? assert.fail();
    assert.equal(tensorOf(out, name).dtype, old.dtype);
    assert.deepEqual(readBytes(tensorOf(out, name)), readBytes(old));
  }
  const names = [...Deno.readDirSync(folder.file("out"))].map(({ name }) => name).sort();
  assert.deepEqual(names, ["config.json", "model.safetensors", "tokenizer.json"]);
  assert.equal(Deno.readTextFileSync(folder.file("out/tokenizer.json")), `{"a" : 1}`);
});

Deno.test("merged: a chosen type holds for all floats and is in the config", () => {
  using folder = new TempFolder();
  const sourceFolder = source(folder);
  const weights = openWeights(sourceFolder);
  const model = { weights, merged: () => undefined, sourceFolder };
  writeMerged(folder.file("out"), { ...model, dtype: "bf16" });
  const out = openSafetensors(folder.file("out/model.safetensors"));
  const bits = new Uint16Array(readBytes(tensorOf(out, "wide")).buffer);
  assert.deepEqual(bits, toBf16(VALUES));
  const dtypes = ["wide", "half", "small", "whole"].map((name) => tensorOf(out, name).dtype);
  assert.deepEqual(dtypes, ["BF16", "BF16", "BF16", "I32"]);
  const config = JSON.parse(Deno.readTextFileSync(folder.file("out/config.json")));
  assert.deepEqual(config, { model_type: "llama", dtype: "bfloat16" });
  writeMerged(folder.file("f32"), { ...model, dtype: "f32" });
  const wide = openSafetensors(folder.file("f32/model.safetensors"));
  assert.deepEqual(readFloat32(tensorOf(wide, "wide")), VALUES);
  const half = weights.get("half") ?? assert.fail();
  assert.equal(tensorOf(wide, "half").dtype, "F32");
  assert.deepEqual(readFloat32(tensorOf(wide, "half")), readFloat32(half));
});

Deno.test("merged: never over its source, never infinite, never of a wrong size", () => {
  using folder = new TempFolder();
  const sourceFolder = source(folder);
  const weights = openWeights(sourceFolder);
  const none = () => undefined;
  Deno.symlinkSync(sourceFolder, folder.file("link"));
  const over = () => writeMerged(folder.file("link"), { weights, merged: none, sourceFolder });
  assertFails(over, "usage", "name another folder");
  const large = (name: string) => name === "small" ? Float32Array.of(1, 7e4, 0, 0) : undefined;
  const wide = () => writeMerged(folder.file("out"), { weights, merged: large, sourceFolder });
  assertFails(wide, "weights-mismatch", "too large for F16");
  const short = (name: string) => name === "wide" ? new Float32Array(3) : undefined;
  const wrong = () => writeMerged(folder.file("out"), { weights, merged: short, sourceFolder });
  assert.throws(wrong, Bug);
  assert.deepEqual([...Deno.readDirSync(folder.file("out"))], []);
});
