/**
 * Evaluation of spec files in a child.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { PacacError } from "../../src/errors.ts";
import { evaluateSpec } from "../../src/spec/evaluate.ts";

async function evaluate(text: string): Promise<unknown> {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "spec.ts");
    await Deno.writeTextFile(path, text);
    return await evaluateSpec(path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("evaluateSpec() keeps numbers that JSON does not have", async () => {
  const value = await evaluate("export default [0 / 0, 1 / 0, -1 / 0, 1e-8, -0.5];");
  assert.deepEqual(value, [NaN, Infinity, -Infinity, 1e-8, -0.5]);
});

Deno.test("evaluateSpec() is not misled by what the spec prints or replaces", async () => {
  const value = await evaluate(`
    console.log('{"value":"forged"}');
    JSON.stringify = () => '{"value":"forged"}';
    export default { name: "real" };`);
  assert.deepEqual(value, { name: "real" });
});

Deno.test("evaluateSpec() resolves @pacac/pacac for a file anywhere", async () => {
  const value = await evaluate('import { full } from "@pacac/pacac"; export default full();');
  assert.deepEqual(value, { method: "full", seed: 0 });
});

Deno.test.each([
  ["reading", 'Deno.readTextFileSync("/etc/hostname")'],
  ["writing", 'Deno.writeTextFileSync("/tmp/never", "")'],
  ["the environment", 'Deno.env.get("HOME")'],
  ["other programs", 'new Deno.Command("ls").outputSync()'],
  ["the network", 'await fetch("http://127.0.0.1:9")'],
  ["native code", 'Deno.dlopen("x.so", {})'],
])("evaluateSpec() does not permit %s", async (_, statement) => {
  await assert.rejects(
    evaluate(`${statement};\nexport default 1;`),
    (error) => error instanceof PacacError && error.code === "spec-run" && error.place.line === 1,
  );
});

Deno.test("evaluateSpec() survives memory without end", async () => {
  await assert.rejects(
    evaluate("const all = []; for (;;) all.push(new Array(1e6).fill(all.length));"),
    (error) => error instanceof PacacError && error.code === "spec-run",
  );
});
