/**
 * The program's description for the trainer: src/train/engine.ts's ProgramInfo from a spec and its graph.
 * @module
 */
import { createHash } from "node:crypto";
import { bytesOf, type Graph, type Tensor } from "../graph/graph.ts";
import { print } from "../graph/print.ts";
import { moduleOf } from "../methods/paca.ts";
import { flopsOf } from "../ops/op.ts";
import { opOf } from "../ops/mod.ts";
import type { FineTuneSpec } from "../spec/description.ts";
import type { AdaptedLinear, ProgramInfo, TensorInfo } from "../train/engine.ts";

/** What {@linkcode programInfo} takes beside the graph. */
export interface InfoOptions {
  readonly spec: FineTuneSpec;
  readonly target: string;
  readonly arenaBytes: number;
  readonly vocabSize: number;
  /** Folder or hub id of weights and tokenizer. */
  readonly source: string;
  /** config.json as an object, {} where there is none. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Describes a program.
 * @param graph The graph after all passes
 * @param options Spec, target and plan
 */
export function programInfo(graph: Graph, options: InfoOptions): ProgramInfo {
  const { spec, target, arenaBytes, vocabSize, source, config } = options;
  const { adapt, train } = spec;
  const paca = adapt.method === "paca" ? adapt : undefined;
  return {
    name: spec.name,
    target,
    hash: createHash("sha256").update(print(graph)).digest("hex").slice(0, 16),
    batch: train.batch,
    seqLen: train.seqLen,
    vocabSize,
    source,
    storage: train.storage,
    weights: train.weights ?? train.storage,
    method: adapt.method,
    rank: paca?.rank ?? 0,
    alpha: paca?.alpha ?? 0,
    parametrisation: paca?.parametrisation ?? "delta",
    seed: adapt.seed,
    // A linear that runs again in backward, or in prefill, is no second one.
    adapted: graph.nodes.filter(({ op, phase }) =>
      (op === "paca_linear" && phase === "forward") ||
      (op === "adapted_linear" && phase === "decode")
    ).map(
      (
        node,
      ): AdaptedLinear => ({
        module: moduleOf(node),
        outFeatures: node.inputs.weight.shape[0],
        inFeatures: node.inputs.weight.shape[1],
        weight: node.inputs.weight.name,
        delta: node.inputs.delta.name,
        indices: node.inputs.index.name,
      }),
    ),
    optimizer: train.optimizer,
    schedule: train.schedule,
    accumulate: train.accumulate,
    maxGradNorm: train.maxGradNorm,
    tensors: graph.tensors.filter((tensor) => tensor.role !== "activation").map(tensorInfo),
    arenaBytes,
    flopsPerStep: graph.nodes.filter(({ phase, again }) => phase !== "logits" && again !== true)
      .reduce((sum, node) => sum + flopsOf(opOf(node.op), node), 0),
    ...bytesPerToken(graph),
    config,
  };
}

/** What the decode phase reads of weights, where there is one: an embedding's table is no part of it, unless it is the head's matrix too. */
function bytesPerToken(graph: Graph): Pick<ProgramInfo, "bytesPerToken"> {
  const nodes = graph.nodes.filter(({ phase, op }) => phase === "decode" && op !== "embed");
  const read = new Set(nodes.flatMap(({ inputs }) => Object.values(inputs)));
  const weights = [...read].filter(({ role }) => role === "weight");
  return weights.length === 0
    ? {}
    : { bytesPerToken: weights.reduce((sum, tensor) => sum + bytesOf(tensor), 0) };
}

function tensorInfo({ name, shape, dtype, role }: Tensor): TensorInfo {
  return { name, shape, dtype, role };
}
