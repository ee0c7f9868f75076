/**
 * Frozen weights as bf16 under float32 storage: of a bf16 checkpoint the same bits as with float32 weights, on every instruction set.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compile } from "../../src/compile.ts";
import { fromFloat32 } from "../../src/formats/dtype.ts";
import { openSafetensors, readFloat32 } from "../../src/formats/safetensors.ts";
import { writeSafetensors } from "../../src/formats/safetensors_writer.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import type { FineTuneSpec } from "../../src/spec/description.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { fillEngine, type Golden, goldenSpec, openGolden } from "../support/golden_model.ts";

/** The golden llama with its weights rounded to bf16, as a checkpoint in bf16. */
function inBf16(folder: string): Golden {
  const golden = openGolden("llama_tied");
  Deno.copyFileSync(join(golden.folder, "config.json"), join(folder, "config.json"));
  const { tensors } = openSafetensors(join(golden.folder, "model.safetensors"));
  writeSafetensors(
    join(folder, "model.safetensors"),
    [...tensors.values()].map((tensor) => {
      const { name, shape } = tensor;
      return { name, shape, dtype: "BF16", bytes: fromFloat32(readFloat32(tensor), "BF16") };
    }),
  );
  return { ...golden, folder };
}

function withWeights(golden: Golden, weights: "f32" | "bf16"): FineTuneSpec {
  const spec = goldenSpec(golden, "paca_delta", "f32");
  return { ...spec, train: { ...spec.train, weights } };
}

/** All that two steps leave: losses, norms, trained columns. */
async function trained(golden: Golden, isa: (typeof HERE)[number], weights: "f32" | "bf16") {
  const spec = withWeights(golden, weights);
  const { architecture } = resolve(spec, { path: golden.folder });
  const graph = runGraphPasses(spec, architecture);
  const { vocabSize } = architecture;
  const target = cpuTarget(isa, { rounds: false });
  const plan = planFor(graph, { spec, vocabSize, isa: target.isa, threads: 2 });
  const types = new Set(
    plan.graph.tensors.filter(({ role, shape }) => role === "weight" && shape.length > 1).map((t) =>
      t.dtype
    ),
  );
  assert.deepEqual([...types], [weights]);
  const engine = await openPlan(plan);
  try {
    fillEngine(engine, golden);
    const found: unknown[] = [];
    for (const step of [1, 2]) {
      const settings = { learningRate: 1e-3, weightDecay: 0.01, maxGradNorm: 1, step };
      found.push(await engine.step([golden.batches[step - 1]], settings));
    }
    for (const { name, role } of engine.info.tensors) {
      if (role === "parameter") found.push([name, [...engine.read(name)]]);
    }
    return found;
  } finally {
    engine.dispose();
  }
}

for (const isa of HERE) {
  Deno.test(`cpu ${isa}: bf16 weights under float32 storage change no bit of a bf16 checkpoint's training`, async () => {
    const folder = Deno.makeTempDirSync({ prefix: "pacac-test-" });
    try {
      const golden = inBf16(folder);
      assert.deepEqual(await trained(golden, isa, "bf16"), await trained(golden, isa, "f32"));
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

Deno.test("compile: float32 storage rounds nothing on its way into a product, bf16 storage may", async () => {
  const golden = openGolden("llama_tied");
  for (const storage of ["f32", "bf16"] as const) {
    const spec = withWeights(golden, "bf16");
    const { plan } = await compile({
      spec: { ...spec, train: { ...spec.train, storage } },
      path: golden.folder,
    }, { target: "cpu", isa: "amx_bf16", threads: 1, outDir: "", build: false, tuned: false });
    assert.equal(plan.target.isa.pairs, storage === "f32" ? 0 : cpuTarget("amx_bf16").isa.pairs);
    assert.equal(plan.info.weights, "bf16");
  }
});
