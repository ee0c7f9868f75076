/**
 * The cuda target against golden runs of PyTorch in float64: whole training steps, launch by launch in the emulator, nothing found.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { cudaPlan, openEmulated } from "../support/cuda_engine.ts";
import {
  fillEngine,
  GOLDEN_FAMILIES,
  goldenSpec,
  measure,
  openGolden,
} from "../support/golden_model.ts";
import { NVCC } from "../support/nvcc.ts";

const LIMITS = { loss: 2e-2, gradient: 6e-2, logits: 5e-2, losses: 2e-2, gradNorms: 5e-2 };

for (const family of GOLDEN_FAMILIES) {
  for (const method of ["paca_delta", "paca_weight"] as const) {
    Deno.test({
      name: `cuda: ${family} with ${method} meets PyTorch in the emulator, nothing found${
        NVCC ? "" : " (needs nvcc)"
      }`,
      ignore: NVCC === undefined,
      async fn() {
        const golden = openGolden(family);
        const spec = goldenSpec(golden, method, "bf16");
        const { architecture } = resolve(spec, { path: golden.folder });
        const graph = runGraphPasses(spec, architecture, () => {}, { passing: "bf16" });
        const { vocabSize } = architecture;
        const engine = await openEmulated(cudaPlan(graph, { spec, vocabSize }));
        fillEngine(engine, golden);
        const errors = await measure(engine, golden, method);
        const found = engine.launches.flatMap(({ kernel, entry, findings }) =>
          findings.map((finding) => `${kernel}${entry}: ${findingText(finding)}`)
        );
        assert.deepEqual(found.slice(0, 5), []);
        for (const [what, limit] of Object.entries(LIMITS)) {
          const error = errors[what as keyof typeof errors];
          assert.ok(error <= limit, `${what}: relative error ${error}, allowed ${limit}`);
        }
      },
    });
  }
}
