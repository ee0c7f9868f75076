/**
 * The optimisers that a description can name, as ops: adapt makes the state that an op reads, differentiate applies it.
 * @module
 */
import { adamw } from "../ops/adamw.ts";
import { lion } from "../ops/lion.ts";
import type { Op } from "../ops/op.ts";
import { sgd } from "../ops/sgd.ts";
import type { Attribute } from "../graph/graph.ts";
import type { OptimizerSpec } from "../spec/description.ts";

/** An op that updates all trained parameters, in place. */
export interface Update {
  readonly op: Op;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Flat vectors beside parameters and gradients that it keeps from step to step. */
  readonly moments: readonly string[];
}

/**
 * The op of an optimiser and its state.
 * @param spec The optimiser's settings
 */
export function updateOf(spec: OptimizerSpec): Update {
  const { op, attributes } = opFor(spec);
  const moments = op.inputs.map(({ name }) => name).filter((name) => name.startsWith("moment"));
  return { op, attributes, moments };
}

function opFor(spec: OptimizerSpec): Omit<Update, "moments"> {
  switch (spec.kind) {
    case "adamw": {
      const { beta1, beta2, epsilon } = spec;
      return { op: adamw, attributes: { beta1, beta2, epsilon } };
    }
    case "lion":
      return { op: lion, attributes: { beta1: spec.beta1, beta2: spec.beta2 } };
    case "sgd":
      return { op: sgd, attributes: { momentum: spec.momentum, nesterov: spec.nesterov } };
  }
}
