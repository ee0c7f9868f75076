/**
 * Writes a program's schedule and tables: schedule.cpp (who runs when, on what) and program.cpp (what there is, where).
 * @module
 */
import { invariant, must } from "../errors.ts";
import { elements, type Phase } from "../graph/graph.ts";
import { decayRates } from "../ops/adamw.ts";
import { formatCpp, type Memo } from "./format.ts";
import { type Section, sectionsOf } from "./layers.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import type { Renderer } from "./render.ts";
import { checkRanges, type TensorTable, tensorTable } from "./tensor_table.ts";

/** Phases of a program that writes text. */
const DECODE_PHASES: readonly Phase[] = ["prefill", "decode"];

/** Phases in the order of a step; a program has those of training or those that write text. */
const PHASES: readonly Phase[] = [
  "forward",
  "logits",
  "backward",
  "update",
  ...DECODE_PHASES,
];

/** A generated file. */
export interface EmittedFile {
  /** Relative to the generated folder. */
  readonly file: string;
  readonly source: string;
}

/** What {@linkcode emitSchedule} takes beside the plan. */
export interface EmitScheduleOptions {
  readonly renderer: Renderer;
  /** Kernel of each call. */
  readonly symbolOf: ReadonlyMap<PlannedCall, string>;
  readonly memo?: Memo;
}

/** What a phase is for, as its function's comment says it. */
const PHASE_COMMENTS: Readonly<Record<Phase, string>> = {
  forward: "From token ids to the loss of one micro-batch, keeping what backward reads.",
  logits: "Logits of chosen rows of the last forward.",
  backward: "Adds one micro-batch's gradients.",
  update: "The optimiser, once a step.",
  prefill: "Keys and values of some tokens of a prompt, into the caches.",
  decode: "One token's keys and values, and logits of the token that follows it.",
};

/**
 * schedule.cpp and program.cpp of a plan.
 * @param plan The plan
 * @param options Renderer, the kernel of each call
 */
export function emitSchedule(plan: Plan, options: EmitScheduleOptions): EmittedFile[] {
  checkRanges(plan);
  const table = tensorTable(plan);
  const { renderer, memo } = options;
  const folder = plan.target.name;
  const file = (name: string, context: Readonly<Record<string, unknown>>): EmittedFile => ({
    file: `${name}.cpp`,
    source: formatCpp(renderer.render(`${folder}/${name}.cpp.njk`, context), memo),
  });
  return [
    file("schedule", scheduleContext(plan, { table, symbolOf: options.symbolOf })),
    file("program", programContext(plan, { table, symbolOf: options.symbolOf })),
  ];
}

interface Names {
  readonly table: TensorTable;
  readonly symbolOf: ReadonlyMap<PlannedCall, string>;
}

/** A row of the table of kernels. */
interface KernelRow {
  readonly symbol: string;
  readonly operands: number;
  /** Of one call: calls of the same text have the same shapes and types, so the same work. */
  readonly flops: string;
  readonly bytes: string;
}

function kernelsOf(plan: Plan, { symbolOf }: Names): KernelRow[] {
  const kernels = new Map<string, KernelRow>();
  for (const planned of plan.calls) {
    const { call, kernel, values } = planned;
    const symbol = must(symbolOf.get(planned), "symbol");
    const { flops, bytes } = kernel.traffic(call, values);
    const operands = call.operands.length;
    kernels.set(symbol, { symbol, operands, flops: cDouble(flops), bytes: cDouble(bytes) });
  }
  return [...kernels.values()];
}

/** A float64 literal. */
function cDouble(value: number): string {
  invariant(Number.isFinite(value), "a kernel's traffic is no number");
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function scheduleContext(plan: Plan, names: Names): Record<string, unknown> {
  const symbolOf = (planned: PlannedCall) => must(names.symbolOf.get(planned), "symbol");
  const writer = new PhaseWriter(names.table, symbolOf);
  const phases = PHASES.map((phase) => {
    const calls = plan.calls.filter((planned) => planned.phase === phase);
    const lines = sectionsOf(calls, { phase, symbolOf }).flatMap((section, i) => {
      const outside = i > 0 && section.kind === "calls" && section.layer < 0;
      const heading = outside ? ["// Outside the layers."] : [];
      return [...heading, ...writer.section(section, `${phase}_tensors${i}`)];
    });
    return { name: phase, comment: PHASE_COMMENTS[phase], lines };
  }).filter(({ lines }) => lines.length > 0);
  return {
    title: titleOf(plan),
    kernels: kernelsOf(plan, names),
    tables: writer.tables,
    functions: writer.functions,
    phases,
  };
}

interface Table {
  readonly name: string;
  readonly comment: string;
  readonly columns: number;
  readonly rows: readonly { readonly layer: number; readonly tensors: string }[];
}

/** Turns sections into C++ lines; layers become a table and a function beside them. */
class PhaseWriter {
  readonly tables: Table[] = [];
  readonly functions: { name: string; comment: string; lines: string[] }[] = [];
  readonly #table: TensorTable;
  readonly #symbolOf: (planned: PlannedCall) => string;

  constructor(table: TensorTable, symbolOf: (planned: PlannedCall) => string) {
    this.#table = table;
    this.#symbolOf = symbolOf;
  }

  section(section: Section, tableName: string): string[] {
    if (section.kind === "calls") {
      const heading = section.layer < 0 ? [] : [`// Layer ${section.layer}.`];
      return [...heading, ...section.calls.map((planned) => this.#line(planned))];
    }
    const rows = section.rows.map((calls, i) => ({
      layer: section.layers[i],
      tensors: calls.flatMap((planned) => this.#tensors(planned)).join(", "),
    }));
    const first = must(section.rows[0], "first layer");
    const columns = first.reduce((sum, { call }) => sum + call.operands.length, 0);
    const range = `${section.layers[0]} to ${section.layers.at(-1)}`;
    this.tables.push({
      name: tableName,
      comment: `Tensors of ${section.name}, a row for each of layers ${range}.`,
      columns,
      rows,
    });
    if (!section.known) this.#function(section.name, first);
    return [
      `// Layers ${range}.`,
      `for (const auto& row : ${tableName}) ${section.name}(run, row);`,
    ];
  }

  #function(name: string, calls: readonly PlannedCall[]): void {
    let at = 0;
    const lines = calls.map((planned) => {
      const line = `run(use::${this.#symbolOf(planned)}, at + ${at});  // ${roles(planned)}`;
      at += planned.call.operands.length;
      return line;
    });
    this.functions.push({ name, comment: "One layer; `at` is its row of tensors.", lines });
  }

  #line(planned: PlannedCall): string {
    const tensors = this.#tensors(planned).join(", ");
    return `run(use::${this.#symbolOf(planned)}, {${tensors}});  // ${roles(planned)}`;
  }

  #tensors({ call }: PlannedCall): number[] {
    return call.operands.map(({ tensor }) => this.#table.row(tensor));
  }
}

/** `x, weight -> y`: what the tensors of a call are to its kernel. */
function roles({ call }: PlannedCall): string {
  const list = (written: boolean) =>
    call.operands.filter((operand) => operand.written === written).map(({ name }) => name).join(
      ", ",
    );
  return `${list(false)} -> ${list(true)}`;
}

function programContext(plan: Plan, names: Names): Record<string, unknown> {
  const { table } = names;
  const { info, scratch } = plan;
  const present = (phase: Phase) => plan.calls.some((planned) => planned.phase === phase);
  for (const phase of PHASES.filter(present)) {
    for (const name of NEEDED[phase]) {
      invariant(table.find(name) >= 0, `phase ${phase} needs a tensor ${name}`);
    }
  }
  const { beta1, beta2 } = decayRates(info.optimizer);
  return {
    title: titleOf(plan),
    name: info.name,
    isa: plan.target.isa.name,
    tensors: table.rows.map(({ tensor, place, limit }) => ({
      name: cString(tensor.name),
      dtype: tensor.dtype,
      role: tensor.role,
      view: tensor.view !== undefined,
      elements: elements(tensor.shape),
      place,
      limit,
    })),
    weights: table.weights,
    kernels: kernelsOf(plan, names),
    arenaBytes: plan.arenaBytes,
    scratch,
    threads: plan.threads,
    seqLen: info.seqLen,
    beta1: String(beta1),
    beta2: String(beta2),
    wellknown: WELLKNOWN.map((name) => ({ name, index: table.find(name) })),
    // Those that write text are null where the table is silent.
    phases: PHASES.filter((phase) => present(phase) || !DECODE_PHASES.includes(phase))
      .map((phase) => ({ name: phase, present: present(phase) })),
  };
}

/** Tensors that the engine itself reads and writes, in the order of native/runtime/program.hpp's Wellknown. */
const WELLKNOWN = [
  "input_ids",
  "labels",
  "segment_ids",
  "loss_scale",
  "loss",
  "hyper",
  "norm",
  "rows",
  "logits",
] as const;

/** Those without which the engine cannot run a phase. */
const NEEDED: Readonly<Record<Phase, readonly string[]>> = {
  forward: ["input_ids", "labels", "segment_ids"],
  logits: ["rows", "logits"],
  backward: ["loss_scale", "loss"],
  update: ["hyper"],
  prefill: ["prefill_ids", "prefill_position", "prefill_count"],
  decode: ["decode_ids", "decode_position", "logits"],
};

function titleOf({ info, target, threads }: Plan): string {
  const shape = `${info.batch} x ${info.seqLen} tokens`;
  return `${info.name} for ${target.name} (${target.isa.name}), ${shape}, ${threads} threads`;
}

/** Names come from files: anything that is not plain is escaped. */
function cString(text: string): string {
  const escaped = text.replaceAll(
    /[^A-Za-z0-9_.:+/ -]/gu,
    (letter) =>
      [...new TextEncoder().encode(letter)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
        .join(""),
  );
  return `"${escaped}"`;
}
