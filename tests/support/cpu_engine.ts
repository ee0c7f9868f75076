/**
 * Compiles a graph for the cpu target and opens it: what the compile command does, without a folder for people.
 * @module
 */
import { buildAddon } from "../../src/build/compile.ts";
import { loadAddon } from "../../src/build/load.ts";
import { cpuInfo } from "../../src/build/processor.ts";
import { programInfo } from "../../src/emit/info.ts";
import { renderKernels } from "../../src/emit/kernel_source.ts";
import { Renderer } from "../../src/emit/render.ts";
import { emitSchedule } from "../../src/emit/schedule.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { constantValues } from "../../src/graph/recipes.ts";
import { place } from "../../src/passes/place.ts";
import { type Chooser, select } from "../../src/passes/select.ts";
import { verifyPlan } from "../../src/passes/verify_plan.ts";
import type { FineTuneSpec } from "../../src/spec/description.ts";
import { type IsaName, ISAS, isasOf } from "../../src/targets/cpu/isas.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import type { Plan } from "../../src/targets/plan.ts";
import type { Isa } from "../../src/targets/target.ts";
import { NativeEngine } from "../../src/train/native_engine.ts";

/** Instruction sets of this machine, the best first. */
export const HERE: readonly IsaName[] = isasOf(cpuInfo());

/**
 * What the processor may lack: the best set here as if it multiplied pairs of bf16. Its kernels are then those of a processor that
 * does, with the instruction's arithmetic from others (native/cpu/vec.hpp).
 */
const WITH_PAIRS: Isa = { ...ISAS[HERE[0]], pairs: 1 };

/** Instruction sets to test with bf16 storage: those of this machine, and pairs of bf16 where none of them has these. */
export const HERE_BF16: readonly { readonly isa: Isa; readonly label: string }[] = [
  ...HERE.map((name) => ({ isa: ISAS[name], label: name })),
  ...ISAS[HERE[0]].pairs > 0 ? [] : [{ isa: WITH_PAIRS, label: `${HERE[0]} as if with pairs` }],
];

/** What {@linkcode planFor} takes beside the graph. */
export interface CpuOptions {
  readonly spec: FineTuneSpec;
  readonly vocabSize: number;
  readonly isa: IsaName | Isa;
  readonly threads: number;
  /** Values of tunables; a kernel's defaults where it gives none. */
  readonly choose?: Chooser;
}

/**
 * The plan of a graph.
 * @param graph A graph after the passes
 * @param options Instruction set and threads
 */
export function planFor(graph: Graph, options: CpuOptions): Plan {
  const { spec, vocabSize, isa, threads, choose } = options;
  const target = typeof isa === "string" ? cpuTarget(isa) : { ...cpuTarget("plain"), isa };
  const calls = select(graph, target, choose === undefined ? {} : { choose });
  const placement = place(graph, calls, threads);
  verifyPlan(graph, calls, { ...placement, threads });
  const { arenaBytes } = placement;
  const info = programInfo(graph, {
    spec,
    target: "cpu",
    arenaBytes,
    vocabSize,
    source: "",
    config: {},
  });
  return { ...placement, graph, target, threads, calls, info };
}

/**
 * An engine for a plan, its constants filled, everything else NaN or 0.
 * @param plan The plan
 */
export async function openPlan(plan: Plan): Promise<NativeEngine> {
  const renderer = new Renderer();
  const { isa } = plan.target;
  const { sources, symbolOf } = renderKernels(plan.calls, { isa, renderer, target: "cpu" });
  const schedule = emitSchedule(plan, { renderer, symbolOf });
  const folder = await Deno.makeTempDir({ prefix: "pacac-test-" });
  try {
    const { path } = await buildAddon([...sources, ...schedule], { flags: isa.flags, folder });
    const engine = new NativeEngine(await loadAddon(path), {
      info: plan.info,
      threads: plan.threads,
      poison: true,
    });
    for (const { name, recipe } of plan.graph.tensors) {
      if (recipe !== undefined) engine.write(name, Float32Array.from(constantValues(recipe)));
    }
    return engine;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
