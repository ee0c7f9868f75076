/**
 * The headers of matrix products alone, on every instruction set here: edges, slices, layouts and threads that no model's shapes meet.
 * @module
 */
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { HERE } from "../support/cpu_engine.ts";
import { runCheck } from "../support/native_check.ts";

for (const isa of HERE) {
  Deno.test(`${isa}: products of odd extents meet float64 sums and do not depend on threads`, () =>
    runCheck("gemm_check.cpp", ISAS[isa].flags));
}
