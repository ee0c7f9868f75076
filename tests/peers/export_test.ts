/**
 * What leaves pacac loads elsewhere: a LoRA-form adapter in peft, merged weights in transformers, with the same logits.
 * Needs a Python with torch, transformers and peft, named by PACAC_PEER_PYTHON; skipped otherwise.
 * @module
 */
import assert from "node:assert/strict";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { Trainer } from "../../src/train/mod.ts";
import { assertClose } from "../support/compare.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { fillEngine, goldenSpec, openGolden } from "../support/golden_model.ts";
import { inRepository } from "../support/paths.ts";

const PYTHON = Deno.env.get("PACAC_PEER_PYTHON");
const IDS = [5, 17, 99, 3, 42, 8, 120, 64];

async function peerLogits(args: readonly string[]): Promise<number[]> {
  const { success, stdout, stderr } = await new Deno.Command(PYTHON ?? "", {
    args: [inRepository("tests/peers/logits.py"), ...args, "--ids", IDS.join(",")],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
}

Deno.test({
  name: `peft and transformers compute the same logits from what was trained here${
    PYTHON === undefined ? " (skipped: set PACAC_PEER_PYTHON to a Python with torch and peft)" : ""
  }`,
  ignore: PYTHON === undefined,
  async fn() {
    const golden = openGolden("llama_tied");
    const spec = goldenSpec(golden, "paca_delta");
    const { architecture } = resolve(spec, { path: golden.folder });
    const graph = runGraphPasses(spec, architecture);
    const { vocabSize } = architecture;
    const plan = planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 });
    const dir = await Deno.makeTempDir({ prefix: "pacac-test-" });
    const engine = await openPlan(plan);
    try {
      fillEngine(engine, golden);
      const trainer = new Trainer(engine, { weights: golden.folder });
      for (let step = 0; step < 6; step++) await trainer.step(golden.batches[step % 2]);
      const { batch, seqLen } = golden;
      const ids = new Int32Array(batch * seqLen);
      ids.set(IDS);
      const segmentIds = new Int32Array(batch * seqLen).fill(-1).fill(0, 0, IDS.length);
      await engine.forward({ inputIds: ids, labels: ids.slice(), segmentIds });
      const ours = await engine.logits(Int32Array.of(IDS.length - 1));

      const base = await peerLogits([golden.folder]);
      await trainer.saveAdapter(`${dir}/lora`, { format: "lora" });
      const lora = await peerLogits([golden.folder, "--adapter", `${dir}/lora`]);
      await trainer.saveMerged(`${dir}/merged`);
      const merged = await peerLogits([`${dir}/merged`]);
      assertClose(lora, ours, { tolerance: 1e-4, what: "peft" });
      assertClose(merged, ours, { tolerance: 1e-4, what: "transformers, merged" });
      assert.throws(() => assertClose(base, ours, { tolerance: 1e-2, what: "untrained" }));
    } finally {
      engine.dispose();
      await Deno.remove(dir, { recursive: true });
    }
  },
});
