/**
 * paca: of each target linear, `rank` columns are trained (PaCA, ICLR 2025).
 *
 * linear(x, W) becomes paca_linear(x, W, D, idx), D [out, r] float32 from 0, idx [r] sorted, drawn or loaded. Both
 * parametrisations compute with D; `weight` gives decay an anchor so that it shrinks the whole columns. Where text is written,
 * linear(x, W) becomes adapted_linear(x, W, D, idx, scale), which one scale for all of them switches on and off.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { Graph, Node, Tensor } from "../graph/graph.ts";
import { adaptedLinear } from "../ops/adapted_linear.ts";
import { pacaLinear } from "../ops/paca_linear.ts";
import { type Application, apply } from "../ops/op.ts";
import type { AdaptSpec } from "../spec/description.ts";
import type { Method } from "./method.ts";

/** Name of the input by which a graph that writes text scales its deltas: alpha / rank, or 0 for the base model. */
const ADAPTER_SCALE = "adapter_scale";

type PacaSpec = Extract<AdaptSpec, { method: "paca" }>;

/** Partial Connection Adaptation. */
export const paca: Method<PacaSpec> = {
  name: "paca",
  trained(graph, spec) {
    return targetsOf(graph, spec).map((node) => {
      const module = moduleOf(node);
      const [outFeatures] = node.inputs.weight.shape;
      const anchor = spec.parametrisation === "weight" ? { anchor: `${module}.paca_anchor` } : {};
      return { name: `${module}.paca_delta`, shape: [outFeatures, spec.rank], ...anchor };
    });
  },
  rewrite(graph, spec, parameter) {
    replaceTargets(graph, spec, (node, at) => {
      const delta = parameter(`${moduleOf(node)}.paca_delta`);
      const inputs = { ...node.inputs, delta, index: indexOf(graph, node, spec) };
      const attributes = { scale: spec.alpha / spec.rank };
      apply(graph, pacaLinear, { inputs, attributes, ...at });
    });
  },
  rewriteDecode(graph, spec) {
    const scale = graph.tensor({ name: ADAPTER_SCALE, dtype: "f32", shape: [1], role: "input" });
    replaceTargets(graph, spec, (node, at) => {
      const name = `${moduleOf(node)}.paca_delta`;
      const shape = [node.inputs.weight.shape[0], spec.rank];
      const delta = graph.find(name) ??
        graph.tensor({ name, dtype: "f32", shape, role: "parameter" });
      const inputs = { ...node.inputs, delta, index: indexOf(graph, node, spec), scale };
      apply(graph, adaptedLinear, { inputs, ...at });
    });
  },
};

/** Where a node stands that takes another's place. */
type Replacement = Pick<Application, "phase" | "layer" | "name" | "into">;

/** Puts what `replace` adds to the graph where target linears stood. */
function replaceTargets(
  graph: Graph,
  spec: PacaSpec,
  replace: (node: Node, at: Replacement) => void,
): void {
  const targets = new Set(targetsOf(graph, spec));
  const before = graph.nodes;
  graph.nodes = [];
  for (const node of before) {
    const { phase, layer, outputs: { y } } = node;
    if (targets.has(node)) replace(node, { phase, layer, name: y.name, into: { y } });
    else graph.nodes.push(node);
  }
}

/** The columns of a linear; where it runs in two phases, the same in both. */
function indexOf(graph: Graph, node: Node, { rank }: PacaSpec): Tensor {
  const name = `${moduleOf(node)}.paca_indices`;
  return graph.find(name) ?? graph.tensor({ name, dtype: "i32", shape: [rank], role: "index" });
}

/**
 * The module of a linear: `model.layers.0.mlp.down_proj`.
 * @param node A linear or paca_linear
 */
export function moduleOf(node: Node): string {
  return node.inputs.weight.name.replace(/\.weight$/, "");
}

function targetsOf(graph: Graph, { targets, rank }: PacaSpec): Node[] {
  const linears = graph.nodes.filter((node) => node.op === "linear");
  const last = (node: Node) => moduleOf(node).split(".").at(-1) ?? "";
  const known = [...new Set(linears.map(last))];
  targets.forEach((target, i) => {
    if (known.includes(target)) return;
    throw new PacacError("spec-value", `Cannot adapt "${target}": the model has no such linear`, {
      place: { field: `adapt.targets[${i}]` },
      remedy: `name one of ${known.join(", ")}`,
    });
  });
  const chosen = linears.filter((node) => targets.includes(last(node)));
  const narrow = chosen.find((node) => node.inputs.weight.shape[1] < rank);
  if (narrow !== undefined) {
    const columns = narrow.inputs.weight.shape[1];
    throw new PacacError(
      "spec-value",
      `Cannot train ${rank} columns of ${moduleOf(narrow)}: it has ${columns}`,
      { place: { field: "adapt.rank" }, remedy: `choose a rank of at most ${columns}` },
    );
  }
  return chosen;
}
