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
import { select } from "../../src/passes/select.ts";
import { verifyPlan } from "../../src/passes/verify_plan.ts";
import type { FineTuneSpec } from "../../src/spec/description.ts";
import { type IsaName, isasOf } from "../../src/targets/cpu/isas.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { NativeEngine } from "../../src/train/native_engine.ts";

/** Instruction sets of this machine, the best first. */
export const HERE: readonly IsaName[] = isasOf(cpuInfo());

/** A batch for graphs that read nothing of it. */
export const BATCH = {
  inputIds: new Int32Array(3),
  labels: new Int32Array(3),
  segmentIds: new Int32Array(3),
};

/**
 * Adds what the engine itself reads and writes.
 * @param graph A graph made by hand
 */
export function declareTrainerTensors(graph: Graph): void {
  const T = BATCH.labels.length;
  for (const name of ["input_ids", "labels", "segment_ids"]) {
    graph.tensor({ name, dtype: "i32", shape: [T], role: "input" });
  }
  for (const [name, extent] of [["loss_scale", 1], ["hyper", 5]] as const) {
    graph.tensor({ name, dtype: "f32", shape: [extent], role: "input" });
  }
  graph.tensor({ name: "rows", dtype: "i32", shape: [1], role: "input" });
  for (const name of ["loss", "norm"]) {
    graph.tensor({ name, dtype: "f32", shape: [1], role: "output" });
  }
  graph.tensor({ name: "gradients", dtype: "f32", shape: [1], role: "gradient" });
}

/** What {@linkcode planFor} takes beside the graph. */
export interface CpuOptions {
  readonly spec: FineTuneSpec;
  readonly vocabSize: number;
  readonly isa: IsaName;
  readonly threads: number;
}

/**
 * The plan of a graph.
 * @param graph A graph after the passes
 * @param options Instruction set and threads
 */
export function planFor(graph: Graph, options: CpuOptions): Plan {
  const { spec, vocabSize, isa, threads } = options;
  const target = cpuTarget(isa);
  const calls = select(graph, target);
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
