/**
 * A program's schedule as data: which kernel runs on which rows of the tensor table, layers folded into one function and a table.
 *
 * schedule.ts writes it as C++; the emulator plays the same data, so that what is proven there is what a GPU runs.
 * @module
 */
import { must } from "../errors.ts";
import type { Phase } from "../graph/graph.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import { type Section, sectionsOf } from "./layers.ts";
import type { TensorTable } from "./tensor_table.ts";

/** Phases of a program that writes text. */
export const DECODE_PHASES: readonly Phase[] = ["prefill", "decode"];

/** Phases in the order of a step; a program has those of training or those that write text. */
export const PHASES: readonly Phase[] = [
  "forward",
  "logits",
  "backward",
  "update",
  ...DECODE_PHASES,
];

/** Rows of the tensor table, and the kernel that each call of a plan runs. */
export interface Names {
  readonly table: TensorTable;
  readonly symbolOf: ReadonlyMap<PlannedCall, string>;
}

/** A kernel call on tensors. */
export interface ScheduledCall {
  /** The kernel. */
  readonly symbol: string;
  /** Rows of the tensor table, an operand each. */
  readonly tensors: readonly number[];
  /** `x, weight -> y`: what the tensors are to the kernel. */
  readonly roles: string;
}

/** The calls of one layer, their tensors side by side in a row of a table. */
export interface LayerFunction {
  readonly name: string;
  readonly calls: readonly {
    readonly symbol: string;
    readonly operands: number;
    readonly roles: string;
  }[];
}

/** Tensors of layers that repeat. */
export interface LayerTable {
  readonly name: string;
  /** The function whose tensors these are. */
  readonly function: string;
  /** Layers in order of execution, a row each. */
  readonly layers: readonly number[];
  readonly rows: readonly (readonly number[])[];
}

/** A part of a phase: calls written out (layer -1: outside the layers), or a function over the rows of a table. */
export type ScheduleStep =
  | { readonly kind: "calls"; readonly layer: number; readonly calls: readonly ScheduledCall[] }
  | { readonly kind: "layers"; readonly table: LayerTable };

/** A whole schedule; phases without calls are left out. */
export interface Schedule {
  readonly functions: readonly LayerFunction[];
  readonly phases: readonly { readonly phase: Phase; readonly steps: readonly ScheduleStep[] }[];
}

/**
 * The schedule of a plan.
 * @param plan The plan
 * @param names Its tensor table, the kernel of each call
 */
export function scheduleOf(plan: Plan, names: Names): Schedule {
  const functions: LayerFunction[] = [];
  const symbolOf = (planned: PlannedCall) => must(names.symbolOf.get(planned), "symbol");
  const phases = PHASES.map((phase) => {
    const calls = plan.calls.filter((planned) => planned.phase === phase);
    const steps = sectionsOf(calls, { phase, symbolOf }).map((section, i) => {
      if (section.kind === "layers" && !section.known) functions.push(functionOf(section, names));
      return stepOf(section, { names, table: `${phase}_tensors${i}` });
    });
    return { phase, steps };
  }).filter(({ steps }) => steps.length > 0);
  return { functions, phases };
}

function stepOf(
  section: Section,
  { names, table }: { readonly names: Names; readonly table: string },
): ScheduleStep {
  const called = (planned: PlannedCall) => scheduled(planned, names);
  if (section.kind === "calls") {
    return { kind: "calls", layer: section.layer, calls: section.calls.map(called) };
  }
  const { name, layers } = section;
  const rows = section.rows.map((calls) => calls.flatMap((planned) => called(planned).tensors));
  return { kind: "layers", table: { name: table, function: name, layers, rows } };
}

function functionOf(
  { name, rows }: Extract<Section, { readonly kind: "layers" }>,
  names: Names,
): LayerFunction {
  const first = must(rows[0], "first layer");
  const calls = first.map((planned) => {
    const { symbol, tensors, roles } = scheduled(planned, names);
    return { symbol, operands: tensors.length, roles };
  });
  return { name, calls };
}

function scheduled(planned: PlannedCall, { table, symbolOf }: Names): ScheduledCall {
  const { operands } = planned.call;
  const list = (written: boolean) =>
    operands.filter((operand) => operand.written === written).map(({ name }) => name).join(", ");
  return {
    symbol: must(symbolOf.get(planned), "symbol"),
    tensors: operands.map(({ tensor }) => table.row(tensor)),
    roles: `${list(false)} -> ${list(true)}`,
  };
}

/**
 * The calls of a phase in the order in which the generated code makes them, as it makes them: through functions and tables.
 * @param schedule The schedule
 * @param phase The phase; one without calls gives none
 */
export function* played(
  { functions, phases }: Schedule,
  phase: Phase,
): Generator<Pick<ScheduledCall, "symbol" | "tensors">, void, undefined> {
  for (const step of phases.find((own) => own.phase === phase)?.steps ?? []) {
    if (step.kind === "calls") {
      yield* step.calls;
      continue;
    }
    const { table } = step;
    const called = must(functions.find(({ name }) => name === table.function), table.function);
    for (const row of table.rows) {
      let at = 0;
      for (const { symbol, operands } of called.calls) {
        yield { symbol, tensors: row.slice(at, at + operands) };
        at += operands;
      }
    }
  }
}
