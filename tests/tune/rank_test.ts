/**
 * Ranking by prediction, for GPUs that are elsewhere.
 * @module
 */
import assert from "node:assert/strict";
import { adamw, fineTune, paca } from "../../src/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { llama } from "../../src/spec/families/llama.ts";
import { gpuMachine, type GpuName } from "../../src/targets/cuda/gpus.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { rank, type RankedCall } from "../../src/tune/rank.ts";
import { cudaPlan } from "../support/cuda_engine.ts";
import { TINY } from "../support/small_model.ts";

/** One block of SmolLM2's sizes. */
const CONFIG = {
  ...{ ...TINY, hiddenSize: 576, intermediateSize: 1536, vocabSize: 49152, layers: 1 },
  ...{ heads: 9, kvHeads: 3, headDim: 64 },
};

function plan(): Plan {
  const spec = fineTune({
    name: "rank",
    model: llama(CONFIG),
    adapt: paca({ rank: 16, alpha: 32, targets: ["q_proj", "up_proj", "down_proj"] }),
    train: {
      ...{ batch: 1, seqLen: 2048, storage: "bf16" },
      optimizer: adamw({ learningRate: 1e-4 }),
    },
  });
  const graph = runGraphPasses(spec, llama(CONFIG), () => {}, { passing: "bf16" });
  return cudaPlan(graph, { spec, vocabSize: CONFIG.vocabSize });
}

const planned = plan();
const ranked = (gpu: GpuName): RankedCall[] =>
  rank(planned, { machine: gpuMachine(gpu), wanted: () => true });

Deno.test("rank() has every distinct call once, the heaviest first, and nothing slower than the default", () => {
  const calls = ranked("h100");
  const names = calls.map(({ op, shape, calls }) => `${op} ${shape} ${calls}`);
  assert.ok(calls.length > 15);
  assert.ok(
    names.includes("paca_linear T2048 K576 O576_192_192 R16_0_0 +rope +rope 1"),
    names.join("\n"),
  );
  const weights = calls.map((one) => one.calls * one.default.seconds);
  assert.deepEqual(weights, weights.toSorted((a, b) => b - a));
  for (const { default: own, best, op } of calls) {
    assert.ok(best.seconds <= own.seconds && best.seconds > 0, op);
    assert.ok(best === own || best.seconds < 0.995 * own.seconds, `${op}: no reason to change`);
  }
  assert.ok(calls.some(({ default: own, best }) => best !== own));
});

Deno.test("rank() has candidates alone that an SM of every GPU has room for", () => {
  for (const gpu of ["a100", "h100", "rtx4090", "l40s"] as const) {
    for (const { op, default: own, best } of ranked(gpu)) {
      for (const { occupancy } of [own, best]) {
        assert.ok(occupancy !== undefined && occupancy > 0, `${op} on ${gpu}`);
      }
    }
  }
});

Deno.test("rank() tells wanted kernels by their names", () => {
  const only = rank(planned, {
    machine: gpuMachine("a100"),
    wanted: (kernel) => kernel === "attention",
  });
  assert.deepEqual(only.map(({ op }) => op), ["attention"]);
});
