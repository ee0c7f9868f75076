/**
 * What there is to tune of a plan: its calls, those that come to the same code taken together.
 * @module
 */
import { dimsText } from "../emit/kernel_source.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import type { Machine } from "../targets/target.ts";
import { isTunable } from "./choose.ts";
import { callKey } from "./keys.ts";

/** Calls of a step that are alike. */
export interface DistinctCall {
  /** The first of them. */
  readonly planned: PlannedCall;
  readonly key: string;
  /** How often a step makes it. */
  readonly calls: number;
  /** Predicted seconds of all of them in a step. */
  readonly weight: number;
}

/**
 * The distinct calls of a plan whose kernels can be tuned, the heaviest first.
 * @param plan The plan
 * @param options The machine that is predicted for; which kernels, by name, where not all are meant
 */
export function distinctCalls(
  plan: Plan,
  options: { readonly machine: Machine; readonly wanted?: (kernel: string) => boolean },
): DistinctCall[] {
  const { machine, wanted = () => true } = options;
  const { isa } = plan.target;
  const found = new Map<string, DistinctCall>();
  for (const planned of plan.calls) {
    const { kernel, call, values } = planned;
    if (!isTunable(kernel) || !wanted(kernel.name)) continue;
    const key = callKey(kernel, call, isa);
    const before = found.get(key);
    found.set(key, {
      planned: before?.planned ?? planned,
      key,
      calls: (before?.calls ?? 0) + 1,
      weight: (before?.weight ?? 0) + kernel.predict(call, values, { isa, machine }),
    });
  }
  return [...found.values()].sort((a, b) => b.weight - a.weight);
}

/**
 * `T2048 K576 O1536`, with what is fused behind it.
 * @param planned A call
 */
export function shapeText({ call }: PlannedCall): string {
  return [...dimsText(call), ...call.epilogue.map(({ step }) => `+${step}`)].join(" ");
}
