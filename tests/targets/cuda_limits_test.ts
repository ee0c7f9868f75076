/**
 * What is refused for the cuda target, by the field that decides it; and that what is not refused has kernels.
 * @module
 */
import assert from "node:assert/strict";
import { full } from "../../src/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { select } from "../../src/passes/select.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { FineTuneSpec } from "../../src/spec/description.ts";
import { requireCuda } from "../../src/targets/cuda/limits.ts";
import { cudaTarget } from "../../src/targets/cuda/mod.ts";
import { smallSpec, TINY } from "../support/small_model.ts";

/** A model with room for many columns. */
const WIDE: LlamaConfig = {
  ...TINY,
  ...{ hiddenSize: 1024, intermediateSize: 1024, heads: 8, kvHeads: 8, headDim: 128, layers: 1 },
};
const TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

function specOf(options: Parameters<typeof smallSpec>[0]): FineTuneSpec {
  return smallSpec({ storage: "bf16", batch: 1, seqLen: 128, ...options });
}

function ranked(rank: number): FineTuneSpec {
  const parametrisation = "delta" as const;
  return specOf({
    config: WIDE,
    adapt: { method: "paca", rank, alpha: rank, targets: TARGETS, seed: 0, parametrisation },
  });
}

const graphOf = (spec: FineTuneSpec, config: LlamaConfig) =>
  runGraphPasses(spec, llama(config), () => {}, { passing: "bf16" });

for (const rank of [8, 72, 128, 256, 512, 704]) {
  Deno.test(`cuda: every kernel has default values for rank ${rank}`, () => {
    const spec = ranked(rank), graph = graphOf(spec, WIDE);
    requireCuda(graph, spec);
    const calls = select(graph, cudaTarget);
    const has = (step: string) =>
      calls.some(({ call }) => call.epilogue.some((fused) => fused.step === step));
    assert.equal(has("rope"), rank <= 128, "a tile has room for a head and its columns");
    assert.equal(has("swiglu"), 2 * rank <= 128, "a tile has room for columns of gate and up");
  });
}

/** Five heads of 12: rows of 60. */
const ODD: LlamaConfig = { ...TINY, headDim: 12, hiddenSize: 60, heads: 5, kvHeads: 5 };

const REFUSED: readonly [string, FineTuneSpec, LlamaConfig, RegExp][] = [
  ["too many columns", ranked(712), WIDE, /712.*adapt\.rank.*704/s],
  ["float32 weights", specOf({ storage: "f32" }), TINY, /f32.*train\.storage/s],
  ["full fine-tuning", specOf({ adapt: full() }), TINY, /full.*adapt.*use paca/s],
  ["odd widths", specOf({ config: ODD }), ODD, / 60 values.*multiples of 8/s],
];
for (const [what, spec, config, told] of REFUSED) {
  Deno.test(`cuda: refuses ${what}, and says which field`, () => {
    const graph = graphOf(spec, config);
    assert.throws(() => requireCuda(graph, spec), (error: Error) => {
      assert.match(`${error.message} ${JSON.stringify(error)}`, told);
      return true;
    });
  });
}
