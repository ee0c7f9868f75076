/**
 * A plan made by hand, small enough to compute in the head: it goes through emission, the compiler and the addon like a real one.
 *
 * y0[t] = table[id] + parameter[id]; three layers add gain_l[t]; loss = scale * sum of y over supervised t;
 * gradient[id] += scale; parameter -= learning rate * gradient. Kernels meet at barriers and use scratch.
 * @module
 */
import { elements, Graph, type Phase, type Role, type Tensor } from "../../src/graph/graph.ts";
import type { Plan, PlannedCall } from "../../src/targets/plan.ts";
import { Renderer, TEMPLATES } from "../../src/emit/render.ts";
import type { CallOperand, Isa, Kernel } from "../../src/targets/target.ts";
import type { ProgramInfo } from "../../src/train/engine.ts";

/** Tokens, vocabulary, layers, rows of logits. */
export const SIZE = { tokens: 8, seqLen: 4, vocab: 5, layers: 3, rows: 2, threads: 4 } as const;

/** Folder of the test-only templates. */
export const TEST_TEMPLATES: string = new URL("./templates", import.meta.url).pathname;

/** A renderer over test-only templates and pacac's own. */
export function testRenderer(): Renderer {
  return new Renderer([TEST_TEMPLATES, TEMPLATES]);
}

/** No instruction set in particular. */
export const PLAIN: Isa = {
  name: "plain",
  lanes: 1,
  registers: 16,
  pairs: 0,
  flags: ["-DPACAC_ISA_PLAIN"],
};

function kernel(name: string, context: Record<string, unknown> = {}): Kernel {
  return {
    name,
    serves: { roots: [name], epilogue: [] },
    tunables: {},
    defaults: () => ({}),
    legal: () => true,
    traffic: () => ({ flops: 0, bytes: 0 }),
    predict: () => 0,
    workspace: () => ({ perThread: 64, shared: 64 }),
    context: () => context,
  };
}

class Builder {
  readonly graph = new Graph("toy");
  readonly calls: PlannedCall[] = [];

  tensor(name: string, count: number, rest: { role?: Role; dtype?: "f32" | "i32" } = {}): Tensor {
    const { role = "activation", dtype = "f32" } = rest;
    return this.graph.tensor({ name, dtype, shape: [count], role });
  }

  call(
    name: string,
    operands: { inputs: Record<string, Tensor>; outputs: Record<string, Tensor> },
    at: { phase?: Phase; layer?: number; context?: Record<string, unknown> } = {},
  ): void {
    const { phase = "forward", layer = -1, context = {} } = at;
    const node = this.graph.node({
      op: name,
      ...operands,
      attributes: { half: 0.5 },
      phase,
      layer,
    });
    const list = (some: Record<string, Tensor>, written: boolean): CallOperand[] =>
      Object.entries(some).map(([operand, tensor]) => ({ name: operand, tensor, written }));
    const workspace = { perThread: 64, shared: 64 };
    const dims = { T: SIZE.tokens, V: SIZE.vocab };
    this.calls.push({
      call: {
        node,
        dims,
        members: [{ node, dims }],
        attributes: node.attributes,
        operands: [...list(operands.inputs, false), ...list(operands.outputs, true)],
        epilogue: [],
      },
      kernel: kernel(name, context),
      values: {},
      phase,
      layer,
      workspace,
    });
  }
}

/**
 * The plan.
 * @param options `allocates`: one kernel breaks the promise that a step allocates nothing
 */
export function toyPlan(options: { readonly allocates?: boolean } = {}): Plan {
  const builder = new Builder();
  const { tokens, vocab, layers, rows, threads } = SIZE;
  const ids = builder.tensor("input_ids", tokens, { role: "input", dtype: "i32" });
  const labels = builder.tensor("labels", tokens, { role: "input", dtype: "i32" });
  const segments = builder.tensor("segment_ids", tokens, { role: "input", dtype: "i32" });
  const scale = builder.tensor("loss_scale", 1, { role: "input" });
  const chosen = builder.tensor("rows", rows, { role: "input", dtype: "i32" });
  const hyper = builder.tensor("hyper", 5, { role: "input" });
  const loss = builder.tensor("loss", 1, { role: "output" });
  const norm = builder.tensor("norm", 1, { role: "output" });
  const logits = builder.tensor("logits", rows * vocab, { role: "output" });
  const table = builder.tensor("table", vocab, { role: "weight" });
  const parameters = builder.tensor("parameters", vocab, { role: "parameter" });
  const gradients = builder.tensor("gradients", vocab, { role: "gradient" });
  let y = builder.tensor("embedded", tokens);
  const context = { allocates: options.allocates ?? false };
  builder.call("lookup", { inputs: { ids, table, parameters }, outputs: { y } }, { context });
  for (let layer = 0; layer < layers; layer++) {
    const gain = builder.tensor(`layers.${layer}.gain`, tokens, { role: "weight" });
    const next = builder.tensor(`layers.${layer}.out`, tokens);
    builder.call("shift", { inputs: { x: y, gain }, outputs: { y: next } }, { layer });
    y = next;
  }
  builder.call("total", { inputs: { x: y, labels, segments, scale }, outputs: { loss } });
  const pick = { inputs: { x: y, rows: chosen }, outputs: { logits } };
  builder.call("pick", pick, { phase: "logits", context: { rows, vocab } });
  builder.call("scatter", { inputs: { ids, scale }, outputs: { gradients } }, {
    phase: "backward",
  });
  const descend = {
    inputs: { parameters, gradients, hyper },
    outputs: { norm, updated: parameters },
  };
  builder.call("descend", descend, { phase: "update" });
  return { ...placed(builder), threads };
}

/** Every tensor on a line of its own, scratch last. */
function placed({ graph, calls }: Builder): Omit<Plan, "threads"> {
  const offsets = new Map<number, number>();
  let end = 0;
  for (const tensor of graph.tensors.filter(({ role }) => role !== "weight")) {
    offsets.set(tensor.id, end);
    end += Math.ceil(elements(tensor.shape) * 4 / 64) * 64;
  }
  const scratch = { perThread: 64, shared: 64, offset: end };
  const arenaBytes = end + SIZE.threads * scratch.perThread + scratch.shared;
  const target = { name: "cpu" as const, kernels: [], isa: PLAIN };
  const info = infoOf(graph, arenaBytes);
  return { graph, target, calls, offsets, arenaBytes, scratch, peak: {}, activations: [], info };
}

function infoOf(graph: Graph, arenaBytes: number): ProgramInfo {
  return {
    name: "toy",
    target: "cpu",
    hash: "toy",
    batch: SIZE.tokens / SIZE.seqLen,
    seqLen: SIZE.seqLen,
    vocabSize: SIZE.vocab,
    source: "",
    storage: "f32",
    weights: "f32",
    method: "full",
    rank: 0,
    alpha: 0,
    parametrisation: "delta",
    seed: 0,
    adapted: [],
    optimizer: {
      kind: "adamw",
      learningRate: 0.5,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
    },
    schedule: { kind: "constant", warmup: 0, floor: 0 },
    accumulate: 1,
    maxGradNorm: 0,
    tensors: graph.tensors.filter(({ role }) => role !== "activation").map((
      { name, shape, dtype, role },
    ) => ({ name, shape, dtype, role })),
    arenaBytes,
    flopsPerStep: 0,
    config: {},
  };
}
