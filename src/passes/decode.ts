/**
 * decode: a written-out architecture becomes the graph that writes text with a cache of keys and values.
 *
 * Needs: the description and its architecture. Gives: a typed graph of two phases over the same weights and caches: prefill, for some
 * tokens of a prompt at once, and decode, for one token and the logits behind it. It stands in the place of all training passes.
 * @module
 */
import { must } from "../errors.ts";
import { Graph, type Node, type Phase, type Tensor } from "../graph/graph.ts";
import { methodOf } from "../methods/mod.ts";
import { attentionCached, cacheAppend } from "../ops/attention_cached.ts";
import { linear } from "../ops/linear.ts";
import { apply } from "../ops/op.ts";
import type { Architecture, FineTuneSpec } from "../spec/description.ts";
import { type Attending, StepLowering } from "./lower_steps.ts";
import { type Storage, storage } from "./storage.ts";
import { verify } from "./verify.ts";

/** Tokens of a prompt that go through the model at once, at most. */
const PREFILL_TOKENS = 64;

/** What {@linkcode runDecodePasses} takes beside the model. */
export interface DecodeOptions {
  /** Most tokens of a text. */
  readonly context: number;
}

/**
 * The graph that writes text.
 * @param spec The description: its method says what can be switched off, its storage what weights and caches are
 * @param architecture Its model, written out
 * @param options Length of the caches
 * @returns The typed graph
 * @throws {PacacError} spec-value, where method and model do not fit
 */
export function runDecodePasses(
  spec: Pick<FineTuneSpec, "name" | "adapt" | "train">,
  architecture: Architecture,
  { context }: DecodeOptions,
): Graph {
  const graph = new Graph(spec.name);
  const caches = new Caches(graph, { context, type: spec.train.storage });
  const tokens = Math.min(PREFILL_TOKENS, context);
  lowerPhase(graph, architecture, { phase: "prefill", tokens, caches });
  graph.nodes = useful(graph.nodes);
  const hidden = lowerPhase(graph, architecture, { phase: "decode", tokens: 1, caches });
  methodOf(spec.adapt).rewriteDecode(graph, spec.adapt);
  addHead(graph, architecture, hidden);
  storage(graph, spec.train);
  verify(graph);
  return graph;
}

interface PhaseOptions {
  readonly phase: Extract<Phase, "prefill" | "decode">;
  readonly tokens: number;
  readonly caches: Caches;
}

function lowerPhase(
  graph: Graph,
  architecture: Architecture,
  { phase, tokens, caches }: PhaseOptions,
): Tensor {
  const input = (name: string, extent: number) =>
    graph.tensor({ name: `${phase}_${name}`, dtype: "i32", shape: [extent], role: "input" });
  const ids = input("ids", tokens), position = input("position", tokens);
  const count = phase === "prefill" ? { count: input("count", 1) } : {};
  caches.rewind();
  const steps = new StepLowering({
    graph,
    phase,
    ids,
    position,
    positions: caches.context,
    attend: (attending) =>
      attend(graph, attending, { phase, caches, inputs: { position, ...count } }),
  });
  return steps.run(architecture);
}

/** Logits of the token that follows; no method adapts them. */
function addHead(graph: Graph, { head, vocabSize, width }: Architecture, x: Tensor): void {
  const name = `${head}.weight`, shape = [vocabSize, width];
  const weight = graph.find(name) ??
    graph.tensor({ name, dtype: "f32", shape, role: "weight" });
  const logits = graph.tensor({
    name: "logits",
    dtype: "f32",
    shape: [1, vocabSize],
    role: "output",
  });
  apply(graph, linear, {
    inputs: { x, weight },
    ...{ phase: "decode", layer: -1, name: "logits" },
    into: { y: logits },
  });
}

interface Surroundings {
  readonly phase: Phase;
  readonly caches: Caches;
  /** position, and count where not all tokens are real. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

function attend(
  graph: Graph,
  { step, q, k, v, layer, prefix }: Attending,
  { phase, caches, inputs }: Surroundings,
): Tensor {
  const { keys, values } = caches.next(`${prefix}attention`, k.shape[1]);
  apply(graph, cacheAppend, {
    inputs: { k, v, ...inputs, keys, values },
    ...{ phase, layer, name: "unused" },
    into: { new_keys: keys, new_values: values },
  });
  return apply(graph, attentionCached, {
    inputs: { q, keys, values, position: inputs.position },
    attributes: {
      heads: step.heads,
      kv_heads: step.kvHeads,
      head_dim: step.headDim,
      scale: 1 / Math.sqrt(step.headDim),
    },
    ...{ phase, layer, name: `${prefix}attended` },
  }).y;
}

interface Cache {
  /** [K, context] */
  readonly keys: Tensor;
  /** [context, K] */
  readonly values: Tensor;
}

/** The caches of all attentions, in their order, which both phases share. */
class Caches {
  readonly context: number;
  readonly #graph: Graph;
  readonly #type: Storage;
  readonly #made: Cache[] = [];
  #at = 0;

  constructor(graph: Graph, options: { readonly context: number; readonly type: Storage }) {
    this.#graph = graph;
    this.context = options.context;
    this.#type = options.type;
  }

  /** The next phase begins. */
  rewind(): void {
    this.#at = 0;
  }

  next(name: string, width: number): Cache {
    if (this.#at === this.#made.length) this.#made.push(this.#make(name, width));
    return must(this.#made[this.#at++], "cache");
  }

  #make(name: string, width: number): Cache {
    const tensor = (kind: string, shape: number[]) =>
      this.#graph.tensor({ name: `${name}.${kind}`, dtype: this.#type, shape, role: "cache" });
    return {
      keys: tensor("keys", [width, this.context]),
      values: tensor("values", [this.context, width]),
    };
  }
}

/** The nodes that caches depend on: what lies behind the last layer's keys and values is computed for nobody. */
function useful(nodes: readonly Node[]): Node[] {
  const wanted = new Set<Tensor>();
  return nodes.toReversed().filter((node) => {
    const outputs = Object.values(node.outputs);
    if (!outputs.some((tensor) => tensor.role === "cache" || wanted.has(tensor))) return false;
    for (const tensor of Object.values(node.inputs)) wanted.add(tensor);
    return true;
  }).reverse();
}
