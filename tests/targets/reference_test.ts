/**
 * The reference target against golden runs of PyTorch in float64.
 * @module
 */
import assert from "node:assert/strict";
import { programInfo } from "../../src/emit/info.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { ReferenceEngine } from "../../src/targets/reference/mod.ts";
import {
  fillEngine,
  GOLDEN_FAMILIES,
  GOLDEN_METHODS,
  goldenSpec,
  measure,
  openGolden,
} from "../support/golden_model.ts";

for (const family of GOLDEN_FAMILIES) {
  for (const method of GOLDEN_METHODS) {
    Deno.test(`reference: ${family} with ${method} meets PyTorch in float64`, async () => {
      const golden = openGolden(family);
      const spec = goldenSpec(golden, method);
      const model = resolve(spec, { path: golden.folder });
      const graph = runGraphPasses(spec, model.architecture);
      const { vocabSize } = model.architecture;
      const info = programInfo(graph, {
        spec,
        target: "reference",
        arenaBytes: 0,
        vocabSize,
        ...model,
      });
      const engine = new ReferenceEngine(graph, info);
      fillEngine(engine, golden);
      const errors = await measure(engine, golden, method);
      const allowed = { loss: 1e-9, gradient: 1e-6, logits: 1e-6, losses: 1e-9, gradNorms: 1e-9 };
      for (const [what, limit] of Object.entries(allowed)) {
        const error = errors[what as keyof typeof errors];
        assert.ok(error <= limit, `${what}: relative error ${error}, allowed ${limit}`);
      }
    });
  }
}
