/**
 * Publishing files: old content or new, nothing left over.
 * @module
 */
import assert from "node:assert/strict";
import { publish, publishBytes, publishChunks, publishText } from "../../src/formats/mod.ts";
import { assertFails, TempFolder } from "./support.ts";

Deno.test("publishing replaces the content and leaves nothing else", () => {
  using folder = new TempFolder();
  const file = folder.file("a.txt");
  publishText(file, "first, longer");
  publishText(file, "second: ä");
  assert.equal(Deno.readTextFileSync(file), "second: ä");
  publishChunks(file, [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
  assert.deepEqual(Deno.readFileSync(file), Uint8Array.of(1, 2, 3));
  assert.deepEqual(folder.names(), ["a.txt"]);
});

Deno.test("a writer that throws leaves the old content and no temporary file", () => {
  using folder = new TempFolder();
  const file = folder.file("a.txt");
  publishText(file, "old");
  const fail = () =>
    publish(file, (open) => {
      open.writeSync(Uint8Array.of(1));
      throw new RangeError("mine");
    });
  assert.throws(fail, { name: "RangeError", message: "mine" });
  assert.equal(Deno.readTextFileSync(file), "old");
  assert.deepEqual(folder.names(), ["a.txt"]);
});

Deno.test("a folder that is not there is an io error that names the file", () => {
  using folder = new TempFolder();
  const file = folder.file("none/a.bin");
  const error = assertFails(() => publishBytes(file, new Uint8Array(1)), "io", "Cannot write");
  assert.equal(error.place.file, file);
  Deno.mkdirSync(folder.file("taken"));
  assertFails(() => publishText(folder.file("taken"), "x"), "io", "Cannot write");
  assert.deepEqual(folder.names(), ["taken"]);
});
