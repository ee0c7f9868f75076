/**
 * adapt: the method names what is trained and rewrites linears to use it.
 *
 * Needs: the forward graph. Gives: all trained tensors as views of one flat vector `parameters`, with `gradients`,
 * the optimiser's moments beside it, so that the optimiser is one node. It stands before differentiate, which must know what is trained.
 * @module
 */
import { must } from "../errors.ts";
import { elements, type Graph, type Role, type Tensor } from "../graph/graph.ts";
import { methodOf } from "../methods/mod.ts";
import type { Trained } from "../methods/method.ts";
import type { AdaptSpec } from "../spec/description.ts";

/** Views start at multiples of this many elements: a cache line of float32. */
const ALIGN = 16;

/** What is trained, and its gradient: what differentiate needs. */
export interface Adapted {
  /** Gradient tensor by trained tensor. */
  readonly gradients: ReadonlyMap<Tensor, Tensor>;
}

/**
 * Rewrites the graph for a method of adaptation.
 * @param graph The forward graph, changed in place
 * @param spec The method and its settings
 * @param options `moments`: names of the flat vectors that the optimiser keeps
 * @throws {PacacError} spec-value
 */
export function adapt(
  graph: Graph,
  spec: AdaptSpec,
  { moments }: { readonly moments: readonly string[] },
): Adapted {
  const method = methodOf(spec);
  const trained = method.trained(graph, spec);
  const offsets: number[] = [];
  let total = 0;
  for (const { shape } of trained) {
    offsets.push(total);
    total += Math.ceil(elements(shape) / ALIGN) * ALIGN;
  }
  const flat = (name: string, role: Role) =>
    graph.tensor({ name, dtype: "f32", shape: [total], role });
  const parameters = flat("parameters", "parameter");
  const gradients = flat("gradients", "gradient");
  moments.forEach((name) => flat(name, "moment"));
  const anchors = trained.some(({ anchor }) => anchor !== undefined)
    ? flat("anchor", "constant")
    : undefined;

  const byName = new Map<string, Tensor>();
  const gradientOf = new Map<Tensor, Tensor>();
  trained.forEach((item, i) => {
    const parameter = trainedTensor(graph, item, { base: parameters, offset: offsets[i] });
    const view = (name: string, base: Tensor) =>
      graph.tensor({
        name,
        dtype: "f32",
        shape: item.shape,
        role: base.role,
        view: { base, offset: offsets[i] },
      });
    gradientOf.set(parameter, view(`${item.name}.grad`, gradients));
    if (item.anchor !== undefined && anchors !== undefined) view(item.anchor, anchors);
    byName.set(item.name, parameter);
  });
  method.rewrite(graph, spec, (name) => must(byName.get(name), name));
  return { gradients: gradientOf };
}

function trainedTensor(
  graph: Graph,
  { name, shape }: Trained,
  view: { readonly base: Tensor; readonly offset: number },
): Tensor {
  const weight = graph.find(name);
  if (weight === undefined) {
    return graph.tensor({ name, dtype: "f32", shape, role: "parameter", view });
  }
  weight.role = "parameter";
  weight.view = view;
  return weight;
}
