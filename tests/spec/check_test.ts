/**
 * The type check of spec files and its memory.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { PacacError } from "../../src/errors.ts";
import { checkTypes } from "../../src/spec/check.ts";

const TEXT = `import { fineTune, full, adamw, fromPretrained } from "@pacac/pacac";
import { rows } from "./rows.ts";
export default fineTune({
  name: "a", model: fromPretrained("m"), adapt: full(),
  train: { batch: rows, seqLen: 8, optimizer: adamw({ learningRate: 1e-3 }) },
});
`;

Deno.test("checkTypes() remembers a good spec until a file that it imports changes", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "spec.ts"), rows = join(dir, "rows.ts"), cache = join(dir, "cache");
    const check = () => checkTypes(path, { text: TEXT, cache });
    await Deno.writeTextFile(path, TEXT);
    await Deno.writeTextFile(rows, "export const rows = 4;\n");
    await check();
    const [verdict, ...others] = [...Deno.readDirSync(join(cache, "types"))];
    assert.deepEqual(others, [], "one verdict, no left-over parts");
    const file = join(cache, "types", verdict.name);

    await Deno.writeTextFile(rows, 'export const rows = "4";\n');
    await assert.rejects(check(), (error) => error instanceof PacacError && error.place.line === 5);

    // A verdict that names no other file is believed: so the memory is what answered.
    await Deno.writeTextFile(file, '{"files":{}}');
    await check();

    // A damaged one is not.
    await Deno.writeTextFile(file, '{"fil');
    await assert.rejects(check(), PacacError);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("checkTypes() works where the cache cannot be written", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "spec.ts"), cache = join(dir, "a file");
    await Deno.writeTextFile(cache, "");
    const text = TEXT.replace(/^import \{ rows.*$/m, "const rows = 4;");
    await Deno.writeTextFile(path, text);
    await checkTypes(path, { text, cache });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
