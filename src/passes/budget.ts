/**
 * budget: keeps at most so many bytes of activations for backward, and rebuilds the rest at the least cost.
 *
 * Needs: the typed graph, since what a kept value costs depends on its type. Gives: the same gradients with fewer kept values; the
 * last layers' forward nodes run a second time in backward, each right before the first node that reads what it makes.
 * It stands behind storage, and before select, which fuses what is there by then.
 *
 * One node is taken at a time: the one that frees the most bytes for a unit of work, until the rest fits. The work of a rebuilt node is
 * its own and that of all nodes between it and values that are still there. What goes from one layer to the next always stays, so
 * a second run never leaves its layer (Chen et al. 2016). The new values live for a moment only, in float32.
 * @module
 */
import { must, PacacError } from "../errors.ts";
import { bytesOf, type Graph, type Node, type Tensor } from "../graph/graph.ts";
import { apply, flopsOf } from "../ops/op.ts";
import { opOf } from "../ops/mod.ts";
import { keptActivations } from "./storage.ts";

/** Operations that take about as long as moving one byte: peak over bandwidth of current processors. */
const FLOPS_PER_BYTE = 8;

/**
 * Rebuilds until the kept activations fit.
 * @param graph The typed graph, changed in place
 * @param most Bytes that may be kept; absent: no limit
 * @throws {PacacError} spec-value, where rebuilding all that can be rebuilt is not enough
 */
export function budget(graph: Graph, most: number | undefined): void {
  if (most === undefined) return;
  const kept = keptActivations(graph);
  const producers = producersOf(graph);
  const fixed = crossings(graph, producers);
  const chosen = new Set<Node>();
  let bytes = total(kept);
  while (bytes > most) {
    const best = cheapest(kept, { producers, fixed });
    if (best === undefined) throw tooSmall(most, bytes);
    chosen.add(best);
    for (const tensor of Object.values(best.outputs)) {
      if (kept.delete(tensor)) bytes -= bytesOf(tensor);
    }
  }
  if (chosen.size > 0) rebuild(graph, { chosen, kept, producers });
}

type Producers = ReadonlyMap<Tensor, Node>;

function producersOf(graph: Graph): Producers {
  const producers = new Map<Tensor, Node>();
  for (const node of graph.nodes) {
    if (node.phase !== "forward") continue;
    for (const tensor of Object.values(node.outputs)) producers.set(tensor, node);
  }
  return producers;
}

/** Values that another layer's forward reads: the residual stream. */
function crossings(graph: Graph, producers: Producers): Set<Tensor> {
  const found = new Set<Tensor>();
  for (const node of graph.nodes.filter(({ phase }) => phase === "forward")) {
    for (const tensor of Object.values(node.inputs)) {
      const maker = producers.get(tensor);
      if (maker !== undefined && maker.layer !== node.layer) found.add(tensor);
    }
  }
  return found;
}

function total(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
}

/** The node whose second run frees most bytes for its work; of equals the one read first, so that rebuilt layers lie together. */
function cheapest(
  kept: ReadonlySet<Tensor>,
  { producers, fixed }: { readonly producers: Producers; readonly fixed: ReadonlySet<Tensor> },
): Node | undefined {
  let best: Node | undefined;
  let most = 0;
  for (const node of new Set([...kept].map((tensor) => must(producers.get(tensor), tensor.name)))) {
    if (node.layer < 0 || Object.values(node.outputs).some((tensor) => fixed.has(tensor))) continue;
    const freed = total(Object.values(node.outputs).filter((tensor) => kept.has(tensor)));
    const worth = freed / work(chainOf(node, kept, producers));
    if (worth <= most * (1 + 1e-9)) continue;
    most = worth;
    best = node;
  }
  return best;
}

/** The nodes to run again for `node`, in forward order: itself, and before it the makers of inputs that are gone. */
function chainOf(node: Node, kept: ReadonlySet<Tensor>, producers: Producers): Node[] {
  const chain = new Set<Node>();
  const visit = (one: Node) => {
    if (chain.has(one)) return;
    for (const input of Object.values(one.inputs)) {
      const maker = producers.get(input);
      if (maker !== undefined && gone(input, kept)) visit(maker);
    }
    chain.add(one);
  };
  visit(node);
  return [...chain];
}

/** Positions and the like (int32) stay; other activations only if they are kept. */
function gone(tensor: Tensor, kept: ReadonlySet<Tensor>): boolean {
  return tensor.role === "activation" && tensor.dtype !== "i32" && !kept.has(tensor);
}

function work(nodes: readonly Node[]): number {
  return nodes.reduce((sum, node) => {
    const op = opOf(node.op);
    const tensors = [...Object.values(node.inputs), ...Object.values(node.outputs)];
    return sum + flopsOf(op, node) + FLOPS_PER_BYTE * total(tensors);
  }, 0);
}

/** Puts second runs in front of their first readers, and lets backward read what they make. */
function rebuild(
  graph: Graph,
  { chosen, kept, producers }: {
    readonly chosen: ReadonlySet<Node>;
    readonly kept: ReadonlySet<Tensor>;
    readonly producers: Producers;
  },
): void {
  const again = new Map<Tensor, Tensor>();
  for (const node of graph.nodes.splice(0)) {
    if (node.phase !== "backward") {
      graph.nodes.push(node);
      continue;
    }
    for (const input of Object.values(node.inputs)) {
      const maker = producers.get(input);
      if (maker === undefined || !chosen.has(maker)) continue;
      chainOf(maker, kept, producers).forEach((one) => runAgain(graph, one, { again, node }));
    }
    graph.nodes.push({ ...node, inputs: newest(node.inputs, again) });
  }
}

/** A second run of `one` in front of `node`, unless an earlier reader had it already. */
function runAgain(
  graph: Graph,
  one: Node,
  { again, node }: { readonly again: Map<Tensor, Tensor>; readonly node: Node },
): void {
  const [first] = Object.values(one.outputs);
  if (again.has(first)) return;
  const outputs = apply(graph, opOf(one.op), {
    inputs: newest(one.inputs, again),
    attributes: one.attributes,
    phase: "backward",
    layer: node.layer,
    name: `${first.name}.again`,
    again: true,
  });
  for (const [name, tensor] of Object.entries(outputs)) again.set(one.outputs[name], tensor);
}

function newest(inputs: Node["inputs"], again: ReadonlyMap<Tensor, Tensor>): Node["inputs"] {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, again.get(tensor) ?? tensor]),
  );
}

function tooSmall(most: number, left: number): PacacError {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  return new PacacError(
    "spec-value",
    `Cannot keep at most ${megabytes(most)} of activations: backward needs ${megabytes(left)}`,
    {
      place: { field: "train.maxKeptBytes" },
      remedy: `allow at least ${Math.ceil(left)}, or make train.batch or train.seqLen smaller`,
    },
  );
}
