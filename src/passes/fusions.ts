/**
 * What select may fuse, as data: the steps behind a kernel's output, and how nodes become a group.
 * @module
 */
import type { EpilogueStep } from "../targets/target.ts";

/** When a node may become an epilogue step, and what its operands are called then. */
interface FusionRule {
  /** Operands of the node that the members of one call make, in order: alternatives. */
  readonly made: readonly (readonly string[])[];
  /** The node's output that is stored where the made operand was. Without it, all outputs are operands of the step. */
  readonly result?: string;
  /** Whether others may read the made operands too: then they are still stored. */
  readonly shared?: true;
  /** Whether the call must have a single node, where nodes share an input. */
  readonly alone?: true;
  /** Names of the step's operands, where they differ from the node's. */
  readonly names?: Readonly<Record<string, string>>;
}

/** Each step is a node of the op of its name. */
export const FUSIONS: Readonly<Record<EpilogueStep, FusionRule>> = {
  add: { made: [["a"], ["b"]], result: "y", alone: true, names: { a: "residual", b: "residual" } },
  rope: { made: [["x"]], result: "y" },
  swiglu: { made: [["gate", "up"]], shared: true, names: { y: "gated" } },
  swiglu_backward: { made: [["dy"]] },
};

/**
 * Whether an op has a fusion rule.
 * @param op The op's name
 */
export function isStep(op: string): op is EpilogueStep {
  return Object.hasOwn(FUSIONS, op);
}
