/**
 * Small llamas for tests, and the passes run over them.
 * @module
 */
import type { Graph } from "../../src/graph/graph.ts";
import { adamw, fineTune } from "../../src/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import type { StorageOptions } from "../../src/passes/storage.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { AdaptSpec, FineTuneSpec, TrainSpec } from "../../src/spec/description.ts";

/** A llama that prints on a page. */
export const TINY: LlamaConfig = {
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 11,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "default" },
  tieWordEmbeddings: true,
  attentionBias: false,
  outputBias: false,
  mlpBias: false,
};

/** PaCA on two of its linears. */
export const TINY_PACA: AdaptSpec = {
  method: "paca",
  rank: 2,
  alpha: 4,
  targets: ["q_proj", "down_proj"],
  seed: 0,
  parametrisation: "delta",
};

/** What {@linkcode smallSpec} takes. */
export interface SmallOptions extends
  Partial<
    Pick<TrainSpec, "batch" | "seqLen" | "recompute" | "storage" | "maxKeptBytes" | "optimizer">
  > {
  readonly config?: LlamaConfig;
  readonly adapt?: AdaptSpec;
}

/**
 * The description of a small llama.
 * @param options The model and method; defaults are TINY with TINY_PACA, one row of three tokens
 */
export function smallSpec(options: SmallOptions = {}): FineTuneSpec {
  const {
    config = TINY,
    adapt = TINY_PACA,
    batch = 1,
    seqLen = 3,
    recompute = 0,
    storage = "f32",
    maxKeptBytes,
    optimizer = adamw({ learningRate: 1e-3 }),
  } = options;
  return fineTune({
    name: "tiny",
    model: llama(config),
    adapt,
    train: {
      ...{ batch, seqLen, recompute, storage, optimizer },
      ...(maxKeptBytes === undefined ? {} : { maxKeptBytes }),
    },
  });
}

/**
 * Runs the graph passes over a small llama.
 * @param options The model and method
 * @param after Called with each pass's name and the graph behind it
 * @param types What the target wants of the types
 */
export function runPasses(
  options: SmallOptions = {},
  after: (pass: string, graph: Graph) => void = () => {},
  types: StorageOptions = {},
): Graph {
  return runGraphPasses(smallSpec(options), llama(options.config ?? TINY), after, types);
}
