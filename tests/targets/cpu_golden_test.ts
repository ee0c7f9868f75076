/**
 * The cpu target against golden runs of PyTorch in float64, on every instruction set of this machine.
 * @module
 */
import assert from "node:assert/strict";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { HERE, HERE_BF16, openPlan, planFor } from "../support/cpu_engine.ts";
import {
  fillEngine,
  GOLDEN_FAMILIES,
  GOLDEN_METHODS,
  goldenSpec,
  measure,
  openGolden,
} from "../support/golden_model.ts";

const LIMITS = {
  f32: { loss: 1e-5, gradient: 2e-4, logits: 2e-4, losses: 1e-4, gradNorms: 2e-4 },
  bf16: { loss: 2e-2, gradient: 5e-2, logits: 5e-2, losses: 2e-2, gradNorms: 5e-2 },
} as const;

const RUNS = [
  ...HERE.map((name) => ({ isa: ISAS[name], label: name, storage: "f32" as const })),
  ...HERE_BF16.map((one) => ({ ...one, storage: "bf16" as const })),
];

for (const { isa, label, storage } of RUNS) {
  for (const family of GOLDEN_FAMILIES) {
    for (const method of GOLDEN_METHODS) {
      Deno.test(`cpu ${label} ${storage}: ${family} with ${method} meets PyTorch`, async () => {
        const golden = openGolden(family);
        const spec = goldenSpec(golden, method, storage);
        const { architecture } = resolve(spec, { path: golden.folder });
        const graph = runGraphPasses(spec, architecture, () => {}, { pairs: isa.pairs > 0 });
        const { vocabSize } = architecture;
        const engine = await openPlan(planFor(graph, { spec, vocabSize, isa, threads: 2 }));
        try {
          fillEngine(engine, golden);
          const errors = await measure(engine, golden, method);
          for (const [what, limit] of Object.entries(LIMITS[storage])) {
            const error = errors[what as keyof typeof errors];
            assert.ok(error <= limit, `${what}: relative error ${error}, allowed ${limit}`);
          }
          assert.equal(engine.memory().stepAllocations, 0, "a step allocates");
        } finally {
          engine.dispose();
        }
      });
    }
  }
}
