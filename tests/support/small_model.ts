/**
 * Small llamas for tests, and the passes run over them.
 * @module
 */
import type { Graph } from "../../src/graph/graph.ts";
import { adapt } from "../../src/passes/adapt.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { lower } from "../../src/passes/lower.ts";
import { recompute } from "../../src/passes/recompute.ts";
import { storage } from "../../src/passes/storage.ts";
import { verify } from "../../src/passes/verify.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { AdaptSpec } from "../../src/spec/schema.ts";

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

const OPTIMIZER = {
  kind: "adamw",
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
} as const;

/** What {@linkcode runPasses} takes. */
export interface PassOptions {
  readonly config?: LlamaConfig;
  readonly adapt?: AdaptSpec;
  readonly batch?: number;
  readonly seqLen?: number;
  readonly recompute?: 0 | 1 | 2;
  readonly storage?: "f32" | "bf16";
}

/**
 * Runs the graph passes, verifying after each.
 * @param options The model and method; defaults are TINY with TINY_PACA
 * @param after Called with each pass's name and the graph behind it
 */
export function runPasses(
  options: PassOptions = {},
  after: (pass: string, graph: Graph) => void = () => {},
): Graph {
  const { config = TINY, batch = 1, seqLen = 3 } = options;
  const graph = lower(llama(config), { name: "tiny", batch, seqLen });
  const passed = (pass: string) => {
    verify(graph);
    after(pass, graph);
  };
  passed("lower");
  const adapted = adapt(graph, options.adapt ?? TINY_PACA);
  passed("adapt");
  differentiate(graph, adapted, OPTIMIZER);
  passed("differentiate");
  recompute(graph, options.recompute ?? 0);
  passed("recompute");
  storage(graph, options.storage ?? "f32");
  passed("storage");
  return graph;
}
