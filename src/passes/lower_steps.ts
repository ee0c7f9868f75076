/**
 * The steps of an architecture as nodes: what lowering for training and for writing text have in common.
 *
 * Blocks are unrolled and weights are tensors by their files' names. Which tokens there are, and what attention attends to, is the
 * caller's.
 * @module
 */
import { invariant } from "../errors.ts";
import type { Graph, Phase, Tensor } from "../graph/graph.ts";
import { add } from "../ops/add.ts";
import { embed } from "../ops/embed.ts";
import { linear } from "../ops/linear.ts";
import { apply, type Op } from "../ops/op.ts";
import { rmsNorm } from "../ops/rms_norm.ts";
import { rope } from "../ops/rope.ts";
import { swiglu } from "../ops/swiglu.ts";
import type { Architecture, Repeat, Step } from "../spec/description.ts";

/** An attention step with its operands, and where its nodes belong. */
export interface Attending {
  readonly step: Extract<Step, { kind: "attention" }>;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly layer: number;
  /** Name before those of the block's tensors, `model.layers.0.`. */
  readonly prefix: string;
}

/** What {@linkcode StepLowering} puts steps into. */
export interface StepOptions {
  readonly graph: Graph;
  readonly phase: Phase;
  /** Token ids, [T]. */
  readonly ids: Tensor;
  /** Place of each token in its text, [T], below `positions`. */
  readonly position: Tensor;
  /** Rows of rotary tables. */
  readonly positions: number;
  /** Adds an attention's nodes and gives its result. */
  readonly attend: (attending: Attending) => Tensor;
}

interface Scope {
  readonly prefix: string;
  readonly layer: number;
  readonly values: Map<number, Tensor>;
}

/** Adds an architecture's steps to a graph. */
export class StepLowering {
  readonly #options: StepOptions;

  /** @param options Graph, phase, tokens */
  constructor(options: StepOptions) {
    this.#options = options;
  }

  /**
   * From token ids to the last hidden states, [T, width].
   * @param architecture What the builders wrote
   */
  run({ steps, result }: Architecture): Tensor {
    const scope: Scope = { prefix: "", layer: -1, values: new Map() };
    for (const step of steps) {
      if (step.kind === "repeat") this.#repeat(step, scope);
      else this.#step(step, scope);
    }
    return value(scope, result);
  }

  /**
   * The weight of that name, made where it is new.
   * @param name As files have it
   * @param shape Its extents
   */
  weight(name: string, shape: number[]): Tensor {
    const { graph } = this.#options;
    const there = graph.find(name);
    if (there === undefined) return graph.tensor({ name, dtype: "f32", shape, role: "weight" });
    invariant(
      `${there.shape}` === `${shape}`,
      `${name} is used as [${there.shape}] and [${shape}]`,
    );
    return there;
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
        apply(this.#options.graph, op, {
          ...{ inputs: operands, attributes, layer },
          phase: this.#options.phase,
          name: `${prefix}${name}`,
        }).y,
      );
    const weight = (name: string, shape: number[]) => this.weight(`${prefix}${name}`, shape);
    const at = (id: number) => value(scope, id);
    switch (step.kind) {
      case "embed": {
        const table = weight(`${step.name}.weight`, [step.vocab, step.width]);
        return void run(embed, "embedded", { ids: this.#options.ids, weight: table });
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
          position: this.#options.position,
          table: this.#ropeTable(step),
        };
        return void run(rope, "rotated", operands, { head_dim: step.headDim, inverse: false });
      }
      case "attention": {
        const [q, k, v] = [step.q, step.k, step.v].map(at);
        const y = this.#options.attend({ step, q, k, v, layer, prefix });
        return void scope.values.set(step.out, y);
      }
      case "swiglu":
        return void run(swiglu, "gated", { gate: at(step.gate), up: at(step.up) });
      case "add":
        return void run(add, "sum", { a: at(step.a), b: at(step.b) });
    }
  }

  #ropeTable(step: Extract<Step, { kind: "rope" }>): Tensor {
    const { headDim, theta, scaling } = step;
    const { graph, positions } = this.#options;
    const recipe = { kind: "rope_table", seqLen: positions, headDim, theta, scaling } as const;
    const key = JSON.stringify(recipe);
    const tables = graph.tensors.filter((tensor) => tensor.recipe !== undefined);
    const there = tables.find((tensor) => JSON.stringify(tensor.recipe) === key);
    return there ?? graph.tensor({
      name: `rope_table.${tables.length}`,
      dtype: "f32",
      shape: [positions, headDim],
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
