/**
 * Samples tell model files apart without reading them whole.
 * @module
 */
import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import { samplesOf } from "../../src/train/file_sample.ts";

const SIZE = 12 << 20;

function fileOf(folder: string, name: string, step: number): string {
  const path = join(folder, name);
  const values = Float32Array.from({ length: SIZE / 4 }, (_, i) => i * step);
  Deno.writeFileSync(path, new Uint8Array(values.buffer));
  return path;
}

Deno.test("samplesOf() is equal for equal files, and not after training or a change of size", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = fileOf(folder, "a.safetensors", 1);
    const [before] = samplesOf(path);
    equal(before.bytes, SIZE);
    deepEqual(samplesOf(path), [before]);
    fileOf(folder, "a.safetensors", 1.0001);
    notEqual(samplesOf(path)[0].sample, before.sample);
    fileOf(folder, "a.safetensors", 1);
    equal(samplesOf(path)[0].sample, before.sample);
    Deno.writeFileSync(path, Uint8Array.of(0), { append: true });
    notEqual(samplesOf(path)[0].sample, before.sample);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("samplesOf() sees each byte of a small file, and all safetensors of a folder in order", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const write = (name: string) => Deno.writeFileSync(join(folder, name), bytes);
    ["b.safetensors", "a.safetensors", "config.json"].forEach(write);
    const both = samplesOf(folder);
    deepEqual(both.map(({ file }) => file.slice(folder.length)), [
      "/a.safetensors",
      "/b.safetensors",
    ]);
    bytes[777] ^= 1;
    write("a.safetensors");
    notEqual(samplesOf(folder)[0].sample, both[0].sample);
    equal(samplesOf(folder)[1].sample, both[1].sample);
    throws(() => samplesOf(join(folder, "none")), { code: "io" });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
