/**
 * Regions in parts (native/runtime/parts.hpp) on real threads.
 * @module
 */
import assert from "node:assert/strict";
import { buildExecutable } from "../../src/build/compile.ts";
import { Cache } from "../../src/build/cache.ts";
import { inRepository } from "../support/paths.ts";

Deno.test("parts: each is taken once, region after region, and what a thread that is held up leaves, others take", async () => {
  const source = Deno.readTextFileSync(inRepository("tests/native/parts_check.cpp"));
  const options = { flags: [], cache: new Cache() };
  const program = await buildExecutable({ file: "parts_check.cpp", source }, options);
  const { success, stdout } = await new Deno.Command(program).output();
  assert.ok(success, new TextDecoder().decode(stdout));
});
