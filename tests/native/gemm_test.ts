/**
 * The headers of matrix products alone, on every instruction set here: edges, slices, layouts and threads that no model's shapes meet.
 * @module
 */
import assert from "node:assert/strict";
import { buildExecutable } from "../../src/build/compile.ts";
import { Cache } from "../../src/build/cache.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { HERE } from "../support/cpu_engine.ts";
import { inRepository } from "../support/paths.ts";

for (const isa of HERE) {
  Deno.test(`${isa}: products of odd extents meet float64 sums and do not depend on threads`, async () => {
    const source = Deno.readTextFileSync(inRepository("tests/native/gemm_check.cpp"));
    const { flags } = ISAS[isa];
    const cache = new Cache();
    const program = await buildExecutable({ file: "gemm_check.cpp", source }, { flags, cache });
    const { success, stdout } = await new Deno.Command(program).output();
    assert.ok(success, new TextDecoder().decode(stdout));
  });
}
