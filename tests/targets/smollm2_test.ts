/**
 * The real model against training steps of PyTorch in float32. Needs SmolLM2-135M-Instruct as a Hugging Face folder (PACAC_SMOLLM2)
 * and the golden values (smollm2.safetensors beside PACAC_SHARED's golden/); skipped where they are not there.
 * @module
 */
import assert from "node:assert/strict";
import { openSafetensors, openWeights, readFloat32, readInt32 } from "../../src/formats/mod.ts";
import { adamw, fineTune, type FineTuneSpec, fromPretrained, paca } from "../../src/mod.ts";
import type { Graph, Tensor } from "../../src/graph/graph.ts";
import { lmHeadLoss } from "../../src/ops/lm_head.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import type { Engine } from "../../src/train/engine.ts";
import { relativeError } from "../support/compare.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { inRepository } from "../support/paths.ts";

const WEIGHTS = Deno.env.get("PACAC_SMOLLM2") ?? inRepository("generated/smollm2-weights");
const SHARED = Deno.env.get("PACAC_SHARED") ?? inRepository("../shared");
const GOLDEN = `${SHARED}/golden/smollm2.safetensors`;
const BATCH = 2;
const SEQ_LEN = 160;

const there = [`${WEIGHTS}/model.safetensors`, GOLDEN].every((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** W is bf16 already; x and dz are rounded to it where pairs are multiplied. */
const HEAD_BF16 = ISAS[HERE[0]].pairs > 0 ? 1e-2 : 2e-5;

/**
 * Allowed relative errors by storage type: about three to five times what AVX2 gives in float32, one and a half times in bf16, and
 * within what was asked for (losses to 1e-3 and 1e-2). `final` is D after AdamW, whose first steps magnify small gradients' errors.
 *
 * PyTorch's float32 is itself off: it sums the 49,152 exponentials of a row so that what is below 6e-8 of the largest is lost, 2e-5
 * of lm_head's gradient and 3e-4 of that of v_proj in the last layer. Against float64 `head` holds that gradient more closely.
 */
const LIMITS = {
  f32: { losses: 5e-5, norms: 1e-4, gradients: 1e-3, head: 2e-5, logits: 1e-5, final: 2e-2 },
  bf16: {
    losses: 1e-2,
    norms: 3e-2,
    gradients: 8e-2,
    head: HEAD_BF16,
    logits: 1.5e-2,
    final: 1.6e-1,
  },
} as const;

function specOf(storage: "f32" | "bf16"): FineTuneSpec {
  return fineTune({
    name: "smollm2",
    model: fromPretrained(WEIGHTS),
    adapt: paca({
      rank: 16,
      alpha: 32,
      targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    }),
    train: { batch: BATCH, seqLen: SEQ_LEN, storage, optimizer: adamw({ learningRate: 1e-3 }) },
  });
}

/** Rows of the first batch whose gradient is computed in float64. */
const HEAD_ROWS = 6;

/** Relative error of lm_head's dx after forward(), its x as it is stored, against float64. */
function headError(engine: Engine, graph: Graph): number {
  const node = graph.nodes.find(({ op }) => op === "lm_head_loss");
  assert.ok(node);
  const read = (tensor: Tensor) => engine.read(tensor.name);
  const { x, weight, target, loss_scale } = node.inputs;
  const [V, D] = weight.shape;
  const targets = read(target), rows = [...targets.keys()].filter((t) => targets[t] >= 0);
  const chosen = rows.filter((_, i) => i % Math.ceil(rows.length / HEAD_ROWS) === 0);
  const pick = (from: ArrayLike<number>) =>
    Float64Array.from(chosen.flatMap((t) => Array.from({ length: D }, (_, d) => from[t * D + d])));
  const file = openWeights(WEIGHTS).get(weight.name);
  assert.ok(file);
  const outputs = {
    losses: new Float64Array(chosen.length),
    dx: new Float64Array(chosen.length * D),
  };
  const inputs = {
    x: pick(read(x)),
    weight: Float64Array.from(readFloat32(file)),
    target: Int32Array.from(chosen, (t) => targets[t]),
    loss_scale: Float64Array.from(read(loss_scale)),
  };
  lmHeadLoss.reference(inputs, outputs, {}, { T: chosen.length, D, V });
  return relativeError(pick(read(node.outputs.dx)), outputs.dx);
}

for (const storage of ["f32", "bf16"] as const) {
  Deno.test({
    name: `cpu ${HERE[0]} ${storage}: SmolLM2-135M trains as in PyTorch float32${
      there ? "" : ` (skipped: needs ${WEIGHTS} or PACAC_SMOLLM2, and ${GOLDEN})`
    }`,
    ignore: !there,
    async fn() {
      const golden = openSafetensors(GOLDEN);
      const read = (name: string) => {
        const tensor = golden.tensors.get(name);
        assert.ok(tensor, `${name} is not in ${GOLDEN}`);
        return tensor;
      };
      const spec = specOf(storage);
      const { architecture } = resolve(spec, { path: WEIGHTS });
      const graph = runGraphPasses(spec, architecture, () => {}, {
        pairs: ISAS[HERE[0]].pairs > 0,
      });
      const { vocabSize } = architecture;
      const engine = await openPlan(planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 }));
      try {
        for (const [name, { file, byteOffset, dtype }] of openWeights(WEIGHTS)) {
          assert.ok(dtype === "BF16" || dtype === "F32" || dtype === "F16");
          engine.load(name, { file, byteOffset, dtype });
        }
        for (const { module, indices } of engine.info.adapted) {
          engine.write(indices, readInt32(read(`${module}.idx`)));
        }
        const size = BATCH * SEQ_LEN;
        const batch = (step: number) => {
          const part = (name: string) =>
            readInt32(read(name)).slice(step * size, (step + 1) * size);
          return {
            inputIds: part("input_ids"),
            labels: part("labels"),
            segmentIds: part("segment_ids"),
          };
        };
        const limits = LIMITS[storage];
        const check = (what: keyof typeof limits, error: number, name: string) =>
          assert.ok(error <= limits[what], `${name}: relative error ${error} over ${limits[what]}`);

        await engine.gradients([batch(0)]);
        for (const { module, delta } of engine.info.adapted) {
          if (!golden.tensors.has(`${module}.grad`)) continue;
          const expected = readFloat32(read(`${module}.grad`));
          check("gradients", relativeError(engine.read(`${delta}.grad`), expected), module);
        }
        await engine.forward(batch(0));
        check("head", headError(engine, graph), "dx of lm_head");
        const { segmentIds } = batch(0);
        const last = Array.from({ length: BATCH }, (_, row) => {
          let t = (row + 1) * SEQ_LEN - 1;
          while (segmentIds[t] < 0) t--;
          return t;
        });
        const logits = await engine.logits(Int32Array.from(last));
        check("logits", relativeError(logits, readFloat32(read("logits_last"))), "logits");

        const losses: number[] = JSON.parse(golden.metadata.losses);
        const norms: number[] = JSON.parse(golden.metadata.grad_norms);
        for (let step = 0; step < norms.length; step++) {
          const { loss, gradNorm } = await engine.step([batch(step)], {
            learningRate: 1e-3,
            weightDecay: 0,
            maxGradNorm: 1,
            step: step + 1,
          });
          check("losses", Math.abs(loss / losses[step] - 1), `loss of step ${step}`);
          check("norms", Math.abs(gradNorm / norms[step] - 1), `norm of step ${step}`);
        }
        const { loss } = await engine.forward(batch(norms.length));
        check("losses", Math.abs(loss / losses[norms.length] - 1), "last loss");
        for (const { module, delta } of engine.info.adapted) {
          if (!golden.tensors.has(`${module}.final`)) continue;
          const expected = readFloat32(read(`${module}.final`));
          check("final", relativeError(engine.read(delta), expected), `${module} at the end`);
        }
        assert.equal(engine.memory().stepAllocations, 0, "a step allocates");
      } finally {
        engine.dispose();
      }
    },
  });
}
