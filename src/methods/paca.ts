/**
 * paca: of each target linear, `rank` columns are trained (PaCA, ICLR 2025).
 *
 * linear(x, W) becomes paca_linear(x, W, D, idx), D [out, r] float32 from 0, idx [r] sorted, drawn or loaded. Both
 * parametrisations compute with D; `weight` gives decay an anchor so that it shrinks the whole columns.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { pacaLinear } from "../ops/paca_linear.ts";
import { apply } from "../ops/op.ts";
import type { AdaptSpec } from "../spec/description.ts";
import type { Method } from "./method.ts";

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
    const targets = new Set(targetsOf(graph, spec));
    const before = graph.nodes;
    graph.nodes = [];
    for (const node of before) {
      if (!targets.has(node)) {
        graph.nodes.push(node);
        continue;
      }
      const module = moduleOf(node);
      const index = graph.tensor({
        name: `${module}.paca_indices`,
        dtype: "i32",
        shape: [spec.rank],
        role: "index",
      });
      const { phase, layer, inputs, outputs } = node;
      apply(graph, pacaLinear, {
        inputs: { ...inputs, delta: parameter(`${module}.paca_delta`), index },
        attributes: { scale: spec.alpha / spec.rank },
        phase,
        layer,
        name: outputs.y.name,
        into: { y: outputs.y },
      });
    }
  },
};

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
