/**
 * plan.txt: the plan for a person: what is trained, what it costs, where every byte goes, which kernels run.
 * @module
 */
import { bytesOf, type DType, elements, type Phase, type Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import { flopsOf } from "../ops/op.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import { machineAtStorage } from "../targets/roofline.ts";
import type { Isa, KernelCall, Machine, Occupancy } from "../targets/target.ts";
import { dimsText } from "./kernel_source.ts";

/** The plan's figures, as data. */
export interface PlanSummary {
  readonly name: string;
  readonly target: string;
  readonly isa: string;
  readonly threads: number;
  readonly parameters: number;
  readonly trained: number;
  readonly tokens: number;
  readonly flops: Readonly<Record<Phase, number>>;
  /** Of those, what makes values a second time in place of keeping them. */
  readonly flopsAgain: number;
  readonly arenaBytes: number;
  readonly mappedWeightBytes: number;
  readonly peak: Readonly<Record<string, number>>;
  readonly predictedSeconds: number;
  readonly machine: Machine;
  readonly kernels: readonly KernelUse[];
  readonly activations: ActivationsByCall;
}

/** Bytes of activations at each kernel call of a step with logits, and how many calls each phase has, in order. */
export interface ActivationsByCall {
  readonly phases: readonly { readonly phase: Phase; readonly calls: number }[];
  readonly kept: readonly number[];
  readonly passing: readonly number[];
}

/** One kernel at one shape. */
export interface KernelUse {
  readonly kernel: string;
  readonly op: string;
  readonly dims: string;
  readonly calls: number;
  readonly values: string;
  readonly fused: string;
  readonly predictedSeconds: number;
  readonly bound: "compute" | "memory";
  /** cuda: predicted, of the kernel's largest launch. */
  readonly occupancy?: Occupancy;
}

/**
 * The figures of a plan.
 * @param plan The plan
 * @param machine Rates that time is predicted from
 */
export function summarize(plan: Plan, machine: Machine): PlanSummary {
  const flops: Record<Phase, number> = {
    ...{ forward: 0, logits: 0, backward: 0, update: 0 },
    ...{ prefill: 0, decode: 0 },
  };
  for (const { call, kernel, values, phase } of plan.calls) {
    flops[phase] += kernel.traffic(call, values).flops;
  }
  const weights = plan.graph.tensors.filter((tensor) => tensor.role === "weight");
  const count = (tensors: readonly Tensor[]) =>
    tensors.reduce((sum, tensor) => sum + elements(tensor.shape), 0);
  const trainedTensors = plan.graph.tensors.filter((tensor) =>
    tensor.role === "parameter" && tensor.view !== undefined
  );
  const on = { isa: plan.target.isa, machine, storage: plan.info.storage };
  const kernels = usesOf(plan.calls, on);
  const inStep = plan.calls.filter(({ phase }) => phase !== "logits");
  return {
    name: plan.info.name,
    target: plan.target.name,
    isa: plan.target.isa.name,
    threads: plan.threads,
    parameters: count(weights) + (plan.info.method === "full" ? count(trainedTensors) : 0),
    trained: count(trainedTensors),
    tokens: plan.info.batch * plan.info.seqLen,
    flops,
    flopsAgain: plan.graph.nodes.filter(({ again }) => again === true)
      .reduce((sum, node) => sum + flopsOf(opOf(node.op), node), 0),
    arenaBytes: plan.arenaBytes,
    // The interpreter holds its own copies, in the arena's figure.
    mappedWeightBytes: plan.target.name === "reference"
      ? 0
      : weights.reduce((sum, tensor) => sum + bytesOf(tensor), 0),
    peak: plan.peak,
    predictedSeconds: inStep.reduce((sum, call) => sum + predict(call, on).seconds, 0),
    machine: machineAtStorage(machine, plan.info.storage),
    kernels,
    activations: {
      phases: PHASES.map((phase) => ({
        phase,
        calls: plan.calls.filter((call) => call.phase === phase).length,
      })),
      kept: plan.activations.map(({ kept }) => kept),
      passing: plan.activations.map(({ passing }) => passing),
    },
  };
}

const PHASES: readonly Phase[] = ["forward", "logits", "backward", "update"];

/**
 * plan.json: the figures for programs, such as the report of a run.
 * @param summary The figures
 */
export function planJson(summary: PlanSummary): string {
  return `${JSON.stringify(summary)}\n`;
}

/** A call's predicted time, and which of arithmetic at peak and traffic at full bandwidth takes longer. */
function predict(
  { call, kernel, values }: PlannedCall,
  { isa, machine, storage }: On,
): { seconds: number; bound: "compute" | "memory" } {
  const { flops, bytes } = kernel.traffic(call, values);
  const compute = flops / machineAtStorage(machine, storage).flopsPerSecond;
  const bound = compute >= bytes / machine.bytesPerSecond ? "compute" : "memory";
  return { seconds: kernel.predict(call, values, { isa, machine }), bound };
}

interface On {
  readonly isa: Isa;
  readonly machine: Machine;
  readonly storage: DType;
}

function usesOf(calls: readonly PlannedCall[], on: On): KernelUse[] {
  const uses = new Map<string, KernelUse>();
  for (const planned of calls) {
    const { call, kernel, values } = planned;
    const dims = dimsText(call).join(" ");
    const tunables = Object.entries(values).map(([name, value]) => `${name} ${value}`).join(" ");
    const fused = call.epilogue.map(({ step }) => step).join("+");
    const op = opText(call);
    const key = [op, dims, tunables, fused].join("|");
    const before = uses.get(key);
    const { seconds, bound } = predict(planned, on);
    const occupancy = kernel.occupancy?.(call, values, on.machine);
    uses.set(key, {
      kernel: kernel.name,
      op,
      dims,
      values: tunables,
      fused,
      bound,
      ...(occupancy === undefined ? {} : { occupancy }),
      calls: (before?.calls ?? 0) + 1,
      predictedSeconds: (before?.predictedSeconds ?? 0) + seconds,
    });
  }
  return [...uses.values()];
}

/** The op; of a group how many of it, `2 x linear + 1 x paca_linear`. */
function opText({ node, members }: KernelCall): string {
  if (members.length === 1) return node.op;
  const ops = members.map(({ node }) => node.op);
  const counts = [...new Set(ops)].map((op) =>
    `${ops.filter((other) => other === op).length} x ${op}`
  );
  return counts.join(" + ");
}

/**
 * The summary as text, as plan.txt and `inspect` show it.
 * @param summary The figures
 */
export function planText(summary: PlanSummary): string {
  const { machine, tokens } = summary;
  const step = summary.flops.forward + summary.flops.backward + summary.flops.update;
  const seconds = summary.predictedSeconds;
  const lines = [
    `${summary.name} on ${summary.target} (${summary.isa}, ${threads(summary.threads)})`,
    "",
    "model",
    row("parameters", summary.parameters.toLocaleString("en")),
    row(
      "trained",
      `${summary.trained.toLocaleString("en")} (${percent(summary.trained, summary.parameters)})`,
    ),
    row("tokens a step", `${tokens}`),
    "",
    "work of a step",
    row("forward", gflop(summary.flops.forward)),
    row("backward", gflop(summary.flops.backward)),
    row("update", gflop(summary.flops.update)),
    row("all", `${gflop(step)}, ${(step / tokens / 1e9).toFixed(3)} GFLOP a token`),
    ...(summary.flopsAgain > 0 ? [row("of it a second time", gflop(summary.flopsAgain))] : []),
    row("predicted time", `${seconds.toFixed(3)} s, ${Math.round(tokens / seconds)} tokens/s`),
    row(
      machine.measured ? "at measured peaks" : "at assumed peaks",
      `${(machine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s, ${
        (machine.bytesPerSecond / 1e9).toFixed(1)
      } GB/s (${machine.processor})`,
    ),
    "",
    "memory",
    row("arena", bytes(summary.arenaBytes)),
    ...Object.entries(summary.peak).map(([kind, size]) => row(`  ${kind}`, bytes(size))),
    ...(summary.mappedWeightBytes === 0
      ? []
      : [row("mapped weights", bytes(summary.mappedWeightBytes))]),
    "",
    summary.machine.multiprocessors === undefined
      ? "kernels (calls, share of the predicted time, bound)"
      : "kernels (calls, share of the predicted time, bound, predicted occupancy of an SM)",
    ...summary.kernels.map((use) =>
      `  ${use.op.padEnd(28)} ${`${use.calls}`.padStart(4)} ${
        percent(use.predictedSeconds, seconds).padStart(7)
      } ${use.bound.padEnd(8)} ${occupancyText(use)}${use.dims}${
        use.fused === "" ? "" : ` +${use.fused}`
      }${use.values === "" ? "" : ` (${use.values})`}`
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** "2 x 256 threads, 25.0 % (registers)" */
function occupancyText({ occupancy }: KernelUse): string {
  if (occupancy === undefined) return "";
  const { blocks, threads, share, limit } = occupancy;
  return `${`${blocks} x ${threads} threads, ${percent(share, 1)} (${limit})`.padEnd(36)} `;
}

function threads(count: number): string {
  return count === 1 ? "1 thread" : `${count} threads`;
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(28)} ${value}`;
}

function percent(part: number, whole: number): string {
  return `${(100 * part / whole).toFixed(part / whole < 0.1 ? 2 : 1)} %`;
}

function gflop(flops: number): string {
  return `${(flops / 1e9).toFixed(flops < 1e10 ? 3 : 1)} GFLOP`;
}

/**
 * Bytes for a person, with the exact number.
 * @param count Bytes
 */
export function bytes(count: number): string {
  return `${(count / 1e6).toFixed(count < 1e7 ? 2 : 1)} MB (${count.toLocaleString("en")})`;
}
