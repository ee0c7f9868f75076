/**
 * Shares of the work that follow the threads' speed (native/runtime/balance.hpp).
 * @module
 */
import assert from "node:assert/strict";
import { Cache } from "../../src/build/cache.ts";
import { buildExecutable } from "../../src/build/compile.ts";
import { inRepository } from "../support/paths.ts";

Deno.test("balance: shares follow the threads' speed, cover the work, and are forgotten", async () => {
  const source = Deno.readTextFileSync(inRepository("tests/native/balance_check.cpp"));
  const options = { flags: [], cache: new Cache() };
  const program = await buildExecutable({ file: "balance_check.cpp", source }, options);
  const { success, stdout } = await new Deno.Command(program).output();
  assert.ok(success, new TextDecoder().decode(stdout));
});
