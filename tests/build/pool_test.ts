/**
 * The thread pool under stress: same result with any number of threads, more of them than processors included.
 * @module
 */
import assert from "node:assert/strict";
import { buildExecutable } from "../../src/build/compile.ts";

const SOURCE = new URL("./pool_stress.cpp", import.meta.url);

Deno.test("barriers hold and regions end, whatever the number of threads", async () => {
  const source = { file: "pool_stress.cpp", source: Deno.readTextFileSync(SOURCE) };
  const program = await buildExecutable(source, { flags: [] });
  const run = async (...args: string[]) => {
    const { success, stdout } = await new Deno.Command(program, {
      args,
      signal: AbortSignal.timeout(60_000),
    }).output();
    assert.ok(success, `ended badly with ${args}`);
    return new TextDecoder().decode(stdout).trim();
  };
  const alone = await run("1");
  assert.match(alone, /^[0-9a-f]{8}$/);
  for (const threads of ["2", "3", "7"]) assert.equal(await run(threads), alone, threads);
  assert.equal(await run("2", "pin"), alone, "pinned");
});
