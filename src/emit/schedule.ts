/**
 * Writes a program's schedule and tables: schedule.cpp (who runs when, on what) and program.cpp (what there is, where).
 * @module
 */
import { invariant } from "../errors.ts";
import { elements, type Phase } from "../graph/graph.ts";
import { decayRates } from "../ops/adamw.ts";
import { formatCpp, type Memo } from "./format.ts";
import { type KernelRow, kernelTable } from "./kernel_table.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import type { Launch } from "../targets/target.ts";
import type { Renderer } from "./render.ts";
import {
  DECODE_PHASES,
  type LayerFunction,
  type LayerTable,
  type Names,
  PHASES,
  type Schedule,
  scheduleOf,
  type ScheduleStep,
} from "./schedule_data.ts";
import { checkRanges, tensorTable } from "./tensor_table.ts";

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
  const { renderer, memo, symbolOf } = options;
  const names: Names = { table: tensorTable(plan), symbolOf };
  const kernels = kernelTable(plan, symbolOf);
  const file = (name: string, context: Readonly<Record<string, unknown>>): EmittedFile => ({
    file: `${name}.cpp`,
    source: formatCpp(renderer.render(`program/${name}.cpp.njk`, context), memo),
  });
  return [
    file("schedule", scheduleContext(plan, { kernels, schedule: scheduleOf(plan, names) })),
    file("program", programContext(plan, { kernels, names })),
  ];
}

/** A float64 literal. */
function cDouble(value: number): string {
  invariant(Number.isFinite(value), "a kernel's traffic is no number");
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function scheduleContext(
  plan: Plan,
  { kernels, schedule }: { readonly kernels: readonly KernelRow[]; readonly schedule: Schedule },
): Record<string, unknown> {
  const steps = schedule.phases.flatMap((phase) => phase.steps);
  return {
    title: titleOf(plan),
    device: plan.target.name === "cuda",
    kernels: kernels.map(({ symbol }) => ({ symbol })),
    tables: steps.flatMap((step) => step.kind === "layers" ? [tableText(step.table)] : []),
    functions: schedule.functions.map(functionText),
    phases: schedule.phases.map(({ phase, steps }) => ({
      name: phase,
      comment: PHASE_COMMENTS[phase],
      lines: steps.flatMap((step, i) => stepLines(step, i > 0)),
    })),
  };
}

function tableText({ name, function: of, layers, rows }: LayerTable) {
  return {
    name,
    comment: `Tensors of ${of}, a row for each of layers ${rangeOf(layers)}.`,
    columns: rows[0]?.length ?? 0,
    rows: rows.map((row, i) => ({ layer: layers[i], tensors: row.join(", ") })),
  };
}

function functionText({ name, calls }: LayerFunction) {
  let at = 0;
  const lines = calls.map(({ symbol, operands, roles }) => {
    const line = `run(use::${symbol}, at + ${at});  // ${roles}`;
    at += operands;
    return line;
  });
  return { name, comment: "One layer; `at` is its row of tensors.", lines };
}

function stepLines(step: ScheduleStep, behind: boolean): string[] {
  if (step.kind === "layers") {
    const { name, function: of, layers } = step.table;
    return [
      `// Layers ${rangeOf(layers)}.`,
      `for (const auto& row : ${name}) ${of}(run, row);`,
    ];
  }
  const outside = behind ? ["// Outside the layers."] : [];
  const heading = step.layer < 0 ? outside : [`// Layer ${step.layer}.`];
  return [
    ...heading,
    ...step.calls.map(({ symbol, tensors, roles }) =>
      `run(use::${symbol}, {${tensors.join(", ")}});  // ${roles}`
    ),
  ];
}

function rangeOf(layers: readonly number[]): string {
  return `${layers[0]} to ${layers.at(-1)}`;
}

function programContext(
  plan: Plan,
  { kernels, names: { table } }: {
    readonly kernels: readonly KernelRow[];
    readonly names: Names;
  },
): Record<string, unknown> {
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
    device: plan.target.name === "cuda",
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
    kernels: kernels.map(kernelText),
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

function kernelText({ symbol, operands, flops, bytes, workspace, launches }: KernelRow) {
  return {
    symbol,
    operands,
    flops: cDouble(flops),
    bytes: cDouble(bytes),
    workspace: workspace > 0,
    functions: [...new Set(launches.map(({ entry }) => `${symbol}${entry}`))],
    launches: launches.map((launch) => launchText(launch, symbol)),
  };
}

function launchText({ entry, grid, threads, shared, part }: Launch, symbol: string): string {
  const more = part === undefined ? "" : `, ${part}`;
  return `{&pacac::${symbol}${entry}, {${grid.join(", ")}}, ${threads}, ${shared}${more}}`;
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
  const on = target.name === "cuda" ? "" : `, ${threads} threads`;
  return `${info.name} for ${target.name} (${target.isa.name}), ${shape}${on}`;
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
