/**
 * What ptxas makes of the cuda kernels at the shapes of real models, for the oldest and the newest part that is built for: nothing spills,
 * and no launch takes more than its occupancy is computed from. Each distinct kernel is compiled once.
 * @module
 */
import assert from "node:assert/strict";
import { adamw, fineTune, paca } from "../../src/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { Plan, PlannedCall } from "../../src/targets/plan.ts";
import { cudaPlan, renderCuda } from "../support/cuda_engine.ts";
import { cudaTest, ptxOf, resourcesOfPtx } from "../support/nvcc.ts";
import { TINY } from "../support/small_model.ts";

const TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/** One layer of SmolLM2 135M and of Llama 3.2 1B. */
const MODELS: Readonly<Record<string, LlamaConfig>> = {
  smollm2: {
    ...{ ...TINY, hiddenSize: 576, intermediateSize: 1536, vocabSize: 49152 },
    ...{ heads: 9, kvHeads: 3, headDim: 64 },
  },
  llama: {
    ...{ ...TINY, hiddenSize: 2048, intermediateSize: 8192, vocabSize: 128256 },
    ...{ heads: 32, kvHeads: 8, headDim: 64 },
  },
};

function planOf(name: string, config: LlamaConfig): Plan {
  const spec = fineTune({
    name,
    model: llama(config),
    adapt: paca({ rank: 64, alpha: 64, targets: TARGETS }),
    train: {
      ...{ batch: 1, seqLen: 2048, storage: "bf16" },
      optimizer: adamw({ learningRate: 1e-4 }),
    },
  });
  const graph = runGraphPasses(spec, llama(config), () => {}, { passing: "bf16" });
  return cudaPlan(graph, { spec, vocabSize: config.vocabSize });
}

/** What tells kernels apart beside extents: the op, its steps, its tiles. */
function kindOf({ call, kernel, values }: PlannedCall): string {
  const operands = call.operands.map(({ name }) => name).join(" ");
  return JSON.stringify([kernel.name, operands, call.epilogue.map(({ step }) => step), values]);
}

/** A call of each kind, with its source. */
function distinct(): Map<string, { readonly planned: PlannedCall; readonly source: string }> {
  const kinds = new Map<string, { planned: PlannedCall; source: string }>();
  for (const [name, config] of Object.entries(MODELS)) {
    const plan = planOf(name, config);
    for (const planned of plan.calls) {
      const kind = kindOf(planned);
      if (kinds.has(kind)) continue;
      const [{ source }] = renderCuda({ ...plan, calls: [planned] });
      kinds.set(kind, { planned, source });
    }
  }
  return kinds;
}

cudaTest("cuda: at real shapes nothing spills, and occupancy is what the head says", async () => {
  const calls = [...distinct().values()];
  assert.ok(calls.length >= 20);
  const wrong: string[] = [];
  await Promise.all(calls.map(async ({ planned, source }) => {
    const { kernel, call, values } = planned;
    const launches = kernel.launches?.(call, values) ?? [];
    const ptx = await ptxOf(source);
    for (const arch of ["sm_80", "sm_90"]) {
      for (const made of await resourcesOfPtx(ptx, arch)) {
        const { entry, registers, spillStores, spillLoads, shared, stack } = made;
        const suffix = entry.match(/_[0-9a-f]{8}(\w*)$/)?.[1];
        const launch = launches.find((launch) => launch.entry === suffix);
        assert.ok(launch !== undefined, `${entry} is never launched`);
        const holds = spillStores + spillLoads + stack === 0 && registers <= launch.registers &&
          shared <= launch.fixedShared;
        if (!holds) wrong.push(JSON.stringify({ ...made, launch }));
      }
    }
  }));
  assert.deepEqual(wrong, []);
});
