/**
 * Ranks candidates by predicted time where there is nothing to time them on: a GPU that is elsewhere.
 * @module
 */
import { must } from "../errors.ts";
import type { Plan } from "../targets/plan.ts";
import type { Machine, Tunables } from "../targets/target.ts";
import { distinctCalls, shapeText } from "./distinct.ts";
import { type Candidate, spaceOf } from "./space.ts";

/** A distinct call and its candidates. */
export interface RankedCall {
  readonly op: string;
  readonly shape: string;
  /** How often a step makes it. */
  readonly calls: number;
  /** That come to different code. */
  readonly candidates: number;
  readonly default: RankedCandidate;
  /** The first by prediction; the default where none is before it. */
  readonly best: RankedCandidate;
}

/** Values, and what is predicted of them. */
export interface RankedCandidate {
  readonly values: Tunables;
  readonly seconds: number;
  /** Warps on an SM over the most that it holds, where the target knows. */
  readonly occupancy?: number;
}

/** Predictions closer than this are the same: what they leave out weighs more. */
const SAME = 0.005;

/**
 * Ranks the candidates of each distinct call, the heaviest call first.
 * @param plan A plan with the kernels' defaults
 * @param options The machine that is predicted for; which kernels, by name; seed of the sample of a large space
 */
export function rank(
  plan: Plan,
  options: {
    readonly machine: Machine;
    readonly wanted: (kernel: string) => boolean;
    readonly seed?: number;
  },
): RankedCall[] {
  const { machine, wanted, seed = 0 } = options;
  const { isa } = plan.target;
  return distinctCalls(plan, { machine, wanted }).map(({ planned, calls }) => {
    const { kernel, call } = planned;
    const space = spaceOf(kernel, call, { isa, machine, seed });
    const busy = (values: Tunables) => kernel.occupancy?.(call, values, machine);
    const ranked = ({ values, predicted }: Candidate): RankedCandidate => {
      const share = busy(values)?.share;
      return { values, seconds: predicted, ...(share === undefined ? {} : { occupancy: share }) };
    };
    const own = ranked(space.incumbent);
    const all = [own, ...space.others.map(ranked)].sort((a, b) =>
      Math.abs(a.seconds - b.seconds) <= SAME * own.seconds
        ? (b.occupancy ?? 0) - (a.occupancy ?? 0)
        : a.seconds - b.seconds
    );
    const first = must(all[0], "a candidate");
    const faster = first.seconds < (1 - SAME) * own.seconds;
    return {
      op: call.node.op,
      shape: shapeText(planned),
      calls,
      candidates: all.length,
      default: own,
      best: faster ? first : own,
    };
  });
}
