/**
 * The graph passes in order. Each opens with what it needs, what it gives, and why it stands where it stands.
 * @module
 */
import type { Graph } from "../graph/graph.ts";
import type { Architecture, FineTuneSpec } from "../spec/description.ts";
import { adapt } from "./adapt.ts";
import { budget } from "./budget.ts";
import { differentiate } from "./differentiate.ts";
import { lower } from "./lower.ts";
import { updateOf } from "./optimizer.ts";
import { recompute } from "./recompute.ts";
import { storage, type StorageOptions } from "./storage.ts";
import { verify } from "./verify.ts";

/** Names of the graph passes, in order. */
export const GRAPH_PASSES = [
  "lower",
  "adapt",
  "differentiate",
  "recompute",
  "storage",
  "budget",
] as const;
/** One of them. */
export type GraphPass = typeof GRAPH_PASSES[number];

/**
 * Runs the graph passes; the graph is verified after each.
 * @param spec The description
 * @param architecture Its model, written out
 * @param after Called behind each pass
 * @param options What the target wants of the types
 * @returns The typed graph of a whole step
 * @throws {PacacError} spec-value, where method and model do not fit
 */
export function runGraphPasses(
  spec: Pick<FineTuneSpec, "name" | "adapt" | "train">,
  architecture: Architecture,
  after: (pass: GraphPass, graph: Graph) => void = () => {},
  options: StorageOptions = {},
): Graph {
  const { train } = spec;
  const graph = lower(architecture, { name: spec.name, batch: train.batch, seqLen: train.seqLen });
  const passed = (pass: GraphPass) => {
    verify(graph);
    after(pass, graph);
  };
  passed("lower");
  const adapted = adapt(graph, spec.adapt, updateOf(train.optimizer));
  passed("adapt");
  differentiate(graph, adapted, train.optimizer);
  passed("differentiate");
  recompute(graph, train.recompute);
  passed("recompute");
  storage(graph, train, options);
  passed("storage");
  budget(graph, train.maxKeptBytes);
  passed("budget");
  return graph;
}
