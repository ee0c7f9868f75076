/**
 * lower: a written-out architecture becomes the forward graph, blocks unrolled.
 *
 * Needs: the architecture and the batch's shape. Gives: a graph of forward and logits nodes, all weights frozen.
 * It stands first: every other pass works on the graph.
 * @module
 */
import { Graph, type Tensor } from "../graph/graph.ts";
import { attention } from "../ops/attention.ts";
import { documents } from "../ops/documents.ts";
import { lmHeadLogits, lmHeadLoss, meanLoss } from "../ops/lm_head.ts";
import { apply } from "../ops/op.ts";
import type { Architecture } from "../spec/description.ts";
import { type Attending, StepLowering } from "./lower_steps.ts";

/** Rows whose logits are computed in one go. */
const LOGITS_ROWS = 64;

/** What {@linkcode lower} takes beside the architecture. */
export interface LowerOptions {
  readonly name: string;
  readonly batch: number;
  readonly seqLen: number;
}

/**
 * The forward graph of an architecture.
 * @param architecture What the builders wrote
 * @param options Name, batch, tokens a row
 */
export function lower(architecture: Architecture, options: LowerOptions): Graph {
  const { name, batch, seqLen } = options;
  const graph = new Graph(name);
  const inputs = declareInputs(graph, { tokens: batch * seqLen, seqLen });
  const steps = new StepLowering({
    graph,
    phase: "forward",
    ids: inputs.ids,
    position: inputs.position,
    positions: seqLen,
    attend: ({ step, q, k, v, layer, prefix }: Attending) =>
      apply(graph, attention, {
        inputs: { q, k, v, start: inputs.start },
        attributes: {
          heads: step.heads,
          kv_heads: step.kvHeads,
          head_dim: step.headDim,
          scale: 1 / Math.sqrt(step.headDim),
          seq_len: seqLen,
        },
        phase: "forward",
        layer,
        name: `${prefix}attended`,
      }).y,
  });
  const x = steps.run(architecture);
  const { head, vocabSize, width } = architecture;
  addHead(graph, { x, weight: steps.weight(`${head}.weight`, [vocabSize, width]), inputs });
  return graph;
}

type Inputs = Readonly<Record<string, Tensor>>;

function declareInputs(
  graph: Graph,
  { tokens, seqLen }: { readonly tokens: number; readonly seqLen: number },
): Inputs {
  const input = (name: string, shape: number[], dtype: "i32" | "f32" = "i32") =>
    graph.tensor({ name, dtype, shape, role: "input" });
  const ids = input("input_ids", [tokens]);
  const segments = input("segment_ids", [tokens]);
  const labels = input("labels", [tokens]);
  const scale = input("loss_scale", [1], "f32");
  const rows = input("rows", [Math.min(LOGITS_ROWS, tokens)]);
  const made = apply(graph, documents, {
    inputs: { segment_ids: segments, labels },
    attributes: { seq_len: seqLen },
    phase: "forward",
    layer: -1,
    name: "documents",
  });
  return { ids, scale, rows, ...made };
}

function addHead(
  graph: Graph,
  { x, weight, inputs }: { readonly x: Tensor; readonly weight: Tensor; readonly inputs: Inputs },
): void {
  const { target, scale, rows } = inputs;
  const at = { layer: -1, attributes: {} } as const;
  const { losses } = apply(graph, lmHeadLoss, {
    inputs: { x, weight, target, loss_scale: scale },
    ...{ ...at, phase: "forward", name: "losses" },
  });
  const loss = graph.tensor({ name: "loss", dtype: "f32", shape: [1], role: "output" });
  apply(graph, meanLoss, {
    inputs: { losses, loss_scale: scale },
    ...{ ...at, phase: "forward", name: "loss" },
    into: { loss },
  });
  const logits = graph.tensor({
    name: "logits",
    dtype: "f32",
    shape: [rows.shape[0], weight.shape[0]],
    role: "output",
  });
  apply(graph, lmHeadLogits, {
    inputs: { x, weight, rows },
    ...{ ...at, phase: "logits", name: "logits" },
    into: { logits },
  });
}
