/**
 * lower: a written-out architecture becomes the forward graph, blocks unrolled.
 *
 * Needs: the architecture and the batch's shape. Gives: a graph of forward and logits nodes, all weights frozen.
 * It stands first: every other pass works on the graph.
 * @module
 */
import { invariant } from "../errors.ts";
import { Graph, type Tensor } from "../graph/graph.ts";
import { add } from "../ops/add.ts";
import { attention } from "../ops/attention.ts";
import { documents } from "../ops/documents.ts";
import { embed } from "../ops/embed.ts";
import { linear } from "../ops/linear.ts";
import { lmHeadLogits, lmHeadLoss, meanLoss } from "../ops/lm_head.ts";
import { apply, type Op } from "../ops/op.ts";
import { rmsNorm } from "../ops/rms_norm.ts";
import { rope } from "../ops/rope.ts";
import { swiglu } from "../ops/swiglu.ts";
import type { Architecture, Repeat, Step } from "../spec/description.ts";

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
  return new Lowering(architecture, options).run();
}

interface Scope {
  readonly prefix: string;
  readonly layer: number;
  readonly values: Map<number, Tensor>;
}

class Lowering {
  readonly #architecture: Architecture;
  readonly #seqLen: number;
  readonly #tokens: number;
  readonly #graph: Graph;
  #inputs: Record<string, Tensor> = {};

  constructor(architecture: Architecture, { name, batch, seqLen }: LowerOptions) {
    this.#architecture = architecture;
    this.#seqLen = seqLen;
    this.#tokens = batch * seqLen;
    this.#graph = new Graph(name);
  }

  run(): Graph {
    this.#declareInputs();
    const scope: Scope = { prefix: "", layer: -1, values: new Map() };
    for (const step of this.#architecture.steps) {
      if (step.kind === "repeat") this.#repeat(step, scope);
      else this.#step(step, scope);
    }
    this.#head(value(scope, this.#architecture.result));
    return this.#graph;
  }

  #declareInputs(): void {
    const input = (name: string, shape: number[], dtype: "i32" | "f32" = "i32") =>
      this.#graph.tensor({ name, dtype, shape, role: "input" });
    const ids = input("input_ids", [this.#tokens]);
    const segments = input("segment_ids", [this.#tokens]);
    const labels = input("labels", [this.#tokens]);
    const scale = input("loss_scale", [1], "f32");
    const rows = input("rows", [Math.min(LOGITS_ROWS, this.#tokens)]);
    const made = this.#apply(documents, "documents", {
      inputs: { segment_ids: segments, labels },
      attributes: { seq_len: this.#seqLen },
      layer: -1,
    });
    this.#inputs = { ids, scale, rows, ...made };
  }

  #repeat(step: Repeat, outer: Scope): void {
    let x = value(outer, step.x);
    for (let layer = 0; layer < step.count; layer++) {
      const scope: Scope = {
        prefix: `${step.name}.${layer}.`,
        layer,
        values: new Map([[step.bodyIn, x]]),
      };
      for (const inner of step.body) this.#step(inner, scope);
      x = value(scope, step.bodyOut);
    }
    outer.values.set(step.out, x);
  }

  #step(step: Step, scope: Scope): void {
    const { layer, prefix } = scope;
    const run = (op: Op, name: string, operands: Record<string, Tensor>, attributes = {}) =>
      scope.values.set(
        step.out,
        this.#apply(op, `${prefix}${name}`, { inputs: operands, attributes, layer }).y,
      );
    const weight = (name: string, shape: number[]) => this.#weight(`${prefix}${name}`, shape);
    const at = (id: number) => value(scope, id);
    switch (step.kind) {
      case "embed": {
        const table = weight(`${step.name}.weight`, [step.vocab, step.width]);
        return void run(embed, "embedded", { ids: this.#inputs.ids, weight: table });
      }
      case "linear": {
        const matrix = weight(`${step.name}.weight`, [step.outFeatures, step.inFeatures]);
        const bias = step.bias ? { bias: weight(`${step.name}.bias`, [step.outFeatures]) } : {};
        return void run(linear, `${step.name}.out`, { x: at(step.x), weight: matrix, ...bias });
      }
      case "rms_norm": {
        const gain = weight(`${step.name}.weight`, [step.width]);
        const operands = { x: at(step.x), weight: gain };
        return void run(rmsNorm, `${step.name}.out`, operands, { eps: step.eps });
      }
      case "rope": {
        const operands = {
          x: at(step.x),
          position: this.#inputs.position,
          table: this.#ropeTable(step),
        };
        return void run(rope, "rotated", operands, { head_dim: step.headDim, inverse: false });
      }
      case "attention": {
        const { heads, kvHeads, headDim } = step;
        const operands = {
          q: at(step.q),
          k: at(step.k),
          v: at(step.v),
          start: this.#inputs.start,
        };
        return void run(attention, "attended", operands, {
          heads,
          kv_heads: kvHeads,
          head_dim: headDim,
          scale: 1 / Math.sqrt(headDim),
          seq_len: this.#seqLen,
        });
      }
      case "swiglu":
        return void run(swiglu, "gated", { gate: at(step.gate), up: at(step.up) });
      case "add":
        return void run(add, "sum", { a: at(step.a), b: at(step.b) });
    }
  }

  #head(x: Tensor): void {
    const { head, vocabSize, width } = this.#architecture;
    const weight = this.#weight(`${head}.weight`, [vocabSize, width]);
    const { target, scale, rows } = this.#inputs;
    const { losses } = this.#apply(lmHeadLoss, "losses", {
      inputs: { x, weight, target, loss_scale: scale },
      attributes: {},
      layer: -1,
    });
    const loss = this.#graph.tensor({ name: "loss", dtype: "f32", shape: [1], role: "output" });
    apply(this.#graph, meanLoss, {
      inputs: { losses, loss_scale: scale },
      phase: "forward",
      layer: -1,
      name: "loss",
      into: { loss },
    });
    const logits = this.#graph.tensor({
      name: "logits",
      dtype: "f32",
      shape: [rows.shape[0], vocabSize],
      role: "output",
    });
    apply(this.#graph, lmHeadLogits, {
      inputs: { x, weight, rows },
      phase: "logits",
      layer: -1,
      name: "logits",
      into: { logits },
    });
  }

  #apply(
    op: Op,
    name: string,
    given: {
      inputs: Record<string, Tensor>;
      attributes: Record<string, number | boolean>;
      layer: number;
    },
  ): Record<string, Tensor> {
    return apply(this.#graph, op, { ...given, phase: "forward", name });
  }

  #weight(name: string, shape: number[]): Tensor {
    const there = this.#graph.find(name);
    if (there === undefined) {
      return this.#graph.tensor({ name, dtype: "f32", shape, role: "weight" });
    }
    invariant(
      `${there.shape}` === `${shape}`,
      `${name} is used as [${there.shape}] and [${shape}]`,
    );
    return there;
  }

  #ropeTable(step: Extract<Step, { kind: "rope" }>): Tensor {
    const { headDim, theta, scaling } = step;
    const recipe = { kind: "rope_table", seqLen: this.#seqLen, headDim, theta, scaling } as const;
    const key = JSON.stringify(recipe);
    const tables = this.#graph.tensors.filter((tensor) => tensor.recipe !== undefined);
    const there = tables.find((tensor) => JSON.stringify(tensor.recipe) === key);
    return there ?? this.#graph.tensor({
      name: `rope_table.${tables.length}`,
      dtype: "f32",
      shape: [this.#seqLen, headDim],
      role: "constant",
      recipe,
    });
  }
}

function value(scope: Scope, id: number): Tensor {
  const tensor = scope.values.get(id);
  invariant(tensor !== undefined, `architecture uses value ${id} before it is made`);
  return tensor;
}
