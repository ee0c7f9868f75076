/**
 * Programs of tests/native that check the runtime's and the kernels' headers by themselves.
 * @module
 */
import assert from "node:assert/strict";
import { Cache } from "../../src/build/cache.ts";
import { buildExecutable } from "../../src/build/compile.ts";
import { inRepository } from "./paths.ts";

/**
 * Builds and runs a program that prints what is wrong and exits with 1 where something is.
 * @param file Its name in tests/native
 * @param flags Of the compiler
 * @throws AssertionError with what it printed
 */
export async function runCheck(file: string, flags: readonly string[] = []): Promise<void> {
  const source = Deno.readTextFileSync(inRepository(`tests/native/${file}`));
  const program = await buildExecutable({ file, source }, { flags, cache: new Cache() });
  const { success, stdout } = await new Deno.Command(program).output();
  assert.ok(success, new TextDecoder().decode(stdout));
}
