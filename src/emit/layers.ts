/**
 * Finds the repetition in a flat schedule: layers that make the same calls on different tensors.
 *
 * The graph is written out layer by layer; generated code is not: one function for a layer's calls, a table with a row of tensors
 * for each layer.
 * @module
 */
import type { Phase } from "../graph/graph.ts";
import { must } from "../errors.ts";
import type { PlannedCall } from "../targets/plan.ts";

/** Calls of one layer that follow one another. */
interface Group {
  readonly layer: number;
  readonly calls: PlannedCall[];
}

/** A part of a phase: calls outside layers, or layers that repeat. */
export type Section =
  | { readonly kind: "calls"; readonly layer: number; readonly calls: readonly PlannedCall[] }
  | {
    readonly kind: "layers";
    /** Name of the function that makes one layer's calls. */
    readonly name: string;
    /** Whether an earlier section defined that function. */
    readonly known: boolean;
    /** Layer numbers in order of execution, a row each. */
    readonly layers: readonly number[];
    readonly rows: readonly (readonly PlannedCall[])[];
  };

/**
 * Cuts a phase's calls into sections.
 * @param calls The phase's calls in order
 * @param options The phase, and the kernel symbol of each call
 */
export function sectionsOf(
  calls: readonly PlannedCall[],
  options: { readonly phase: Phase; readonly symbolOf: (call: PlannedCall) => string },
): Section[] {
  const groups = groupsOf(calls);
  const sequence = (group: Group) => group.calls.map(options.symbolOf).join(" ");
  const names = new Map<string, string>();
  const sections: Section[] = [];
  for (let i = 0; i < groups.length;) {
    const first = must(groups[i], "group");
    const same = sequence(first);
    let end = i + 1;
    while (end < groups.length && first.layer >= 0 && sequence(groups[end]) === same) end++;
    const run = groups.slice(i, end);
    i = end;
    if (run.length === 1) {
      sections.push({ kind: "calls", layer: first.layer, calls: first.calls });
      continue;
    }
    const known = names.has(same);
    const name = names.get(same) ??
      `${options.phase}_layer${names.size === 0 ? "" : names.size + 1}`;
    names.set(same, name);
    const layers = run.map(({ layer }) => layer);
    sections.push({ kind: "layers", name, known, layers, rows: run.map((group) => group.calls) });
  }
  return sections;
}

function groupsOf(calls: readonly PlannedCall[]): Group[] {
  const groups: Group[] = [];
  for (const call of calls) {
    const last = groups.at(-1);
    if (last !== undefined && last.layer === call.layer) last.calls.push(call);
    else groups.push({ layer: call.layer, calls: [call] });
  }
  return groups;
}
