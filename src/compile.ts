/**
 * The pipeline: from a loaded model description to a folder with a program that trains it.
 * @module
 */
import {
  buildAddon,
  Cache,
  findNvcc,
  machineOf,
  probeAddon,
  standaloneFiles,
} from "./build/mod.ts";
import { cpuInfo } from "./build/processor.ts";
import { programInfo } from "./emit/info.ts";
import {
  buildLine,
  CONSTANTS_FILE,
  emitProgram,
  emitTypescript,
  type GeneratedFile,
  writeGenerated,
} from "./emit/mod.ts";
import { planJson, type PlanSummary, planText, summarize } from "./emit/plan_text.ts";
import { GRAPH_FILE } from "./emit/graph_file.ts";
import { PacacError } from "./errors.ts";
import type { Graph } from "./graph/graph.ts";
import { print } from "./graph/print.ts";
import { runDecodePasses } from "./passes/decode.ts";
import { GRAPH_PASSES, runGraphPasses } from "./passes/mod.ts";
import { place } from "./passes/place.ts";
import { resolve } from "./passes/resolve.ts";
import { select } from "./passes/select.ts";
import { verifyPlan } from "./passes/verify_plan.ts";
import type { FineTuneSpec } from "./spec/description.ts";
import { type IsaName, ISAS, isasOf, isIsaName } from "./targets/cpu/isas.ts";
import { cpuTarget } from "./targets/cpu/mod.ts";
import { architectureOf, gpuMachine, type GpuName } from "./targets/cuda/gpus.ts";
import { requireCuda } from "./targets/cuda/limits.ts";
import { cudaTarget, cudaTargetOn } from "./targets/cuda/mod.ts";
import type { Plan } from "./targets/plan.ts";
import { machineAtStorage } from "./targets/roofline.ts";
import {
  interpretedPlacement,
  REFERENCE_MACHINE,
  referenceTarget,
} from "./targets/reference/target.ts";
import type { Machine, Target } from "./targets/target.ts";
import { openChoice } from "./tune/choose.ts";

/** What {@linkcode compile} takes beside the description. */
export interface CompileOptions {
  readonly target: "cpu" | "cuda" | "reference";
  /** `native` for the best of this machine. */
  readonly isa: string;
  /** cpu: the program is for other processors: the instruction set need not be this one's, and is then not tried here. */
  readonly elsewhere?: boolean;
  readonly threads: number;
  /** Folder of the program. */
  readonly outDir: string;
  /** Folder of the model's files, where the description's is not meant. */
  readonly weights?: string;
  /** `after:PASS` or `after:all`: graphs to give back as text. `standalone` (cuda): a program of its own, too. */
  readonly emit?: string;
  /** Compile for writing text, not for training: caches of this many tokens. */
  readonly decode?: { readonly context: number };
  /** false: plan only, nothing is written or built. Default true. */
  readonly build?: boolean;
  /** cuda: the GPU that the program is built for; code for sm_80 and newer, and an h100's times, where it is not said. */
  readonly gpu?: GpuName;
  /** false: the kernels' defaults, whatever was tuned. Default true. */
  readonly tuned?: boolean;
  /** File of tuned values, where the default one is not meant. */
  readonly database?: string;
  readonly onProgress?: (text: string) => void;
}

/** A description that went through. */
export interface Compiled {
  readonly dir: string;
  readonly plan: Plan;
  readonly summary: PlanSummary;
  readonly planText: string;
  /** Seconds by stage. */
  readonly seconds: Readonly<Record<string, number>>;
  /** Whether nothing had to be compiled anew. */
  readonly warm: boolean;
  /** Texts that `emit` asked for. */
  readonly printed: readonly string[];
  /** What a person should know, a line each: where values come from. */
  readonly notes: readonly string[];
  /** cpu: kernels, as distinct calls, whose parameters can be tuned, and those of them that have tuned values. */
  readonly parameters?: { readonly tunable: number; readonly tuned: number };
  /** The standalone program, where one was asked for: its folder, and what builds it there. */
  readonly standalone?: { readonly folder: string; readonly build: string };
  /** Where it was compiled for several instruction sets, the best first. */
  readonly variants?: readonly IsaName[];
}

/**
 * Compiles a description: resolve, lower, adapt, differentiate, recompute, storage, budget, select, place, verify_plan, emit, build, probe.
 * @param loaded The description and its path
 * @param options Target, instruction set, folders
 * @throws {PacacError} spec-value, model-not-found, config-invalid, target-unknown, toolchain-missing, build-failed, load-failed, io
 */
export async function compile(
  loaded: { readonly spec: FineTuneSpec; readonly path: string },
  options: CompileOptions,
): Promise<Compiled> {
  const { spec, path } = loaded;
  const { target: targetName, outDir, weights, build = true } = options;
  const threads = targetName === "cpu" ? options.threads : 1;
  const timer = new Timer();
  // What is missing is said before anything is worked out.
  if (targetName === "cuda") requireTraining(options);
  if (targetName === "cuda" && build) findNvcc();
  const standalone = wantsStandalone(options);
  const isa = chooseIsa(options.isa, options);
  const model = resolve(spec, { path, ...(weights === undefined ? {} : { weights }) });
  timer.lap("resolve");
  const { printed, after } = printer(standalone === undefined ? options.emit : undefined);
  // With float32 storage nothing is rounded on its way into a product, of whatever type the weights are.
  const rounds = spec.train.storage !== "f32";
  const target = targetOf(targetName, { isa, gpu: options.gpu, rounds });
  const graph = options.decode === undefined
    ? runGraphPasses(
      spec,
      model.architecture,
      (pass, graph) => {
        timer.lap(pass);
        after(pass, graph);
      },
      { passing: targetName === "cuda" ? "bf16" : "f32", pairs: target.isa.pairs > 0 },
    )
    : runDecodePasses(spec, model.architecture, options.decode);
  if (options.decode !== undefined) timer.lap("decode");
  if (targetName === "cuda") requireCuda(graph, spec);
  const interpreted = targetName === "reference";
  const choice = targetName !== "cpu" || options.tuned === false
    ? undefined
    : openChoice(options.database, { isa: target.isa, threads });
  const calls = select(graph, target, choice === undefined ? {} : { choose: choice.choose });
  timer.lap("select");
  const placement = interpreted ? interpretedPlacement(graph) : place(graph, calls, threads);
  timer.lap("place");
  if (!interpreted) verifyPlan(graph, calls, { ...placement, threads });
  timer.lap("verify_plan");
  const info = programInfo(graph, {
    ...model,
    spec: shapeOf(spec, options.decode),
    target: targetName,
    arenaBytes: placement.arenaBytes,
    vocabSize: model.architecture.vocabSize,
  });
  const plan: Plan = {
    ...placement,
    graph,
    target,
    threads,
    calls,
    info,
  };
  const machine = await machineFor(plan, options);
  timer.lap("machine");
  const summary = summarize(plan, machine);
  const text = planText(summary);
  const write = interpreted ? writeReference : writeNative;
  const decode = options.decode !== undefined;
  const warm = build
    ? await write(plan, {
      text,
      json: planJson(summary),
      outDir,
      standalone,
      timer,
      decode,
      probe: isHere(isa),
      progress: options.onProgress,
    })
    : true;
  return {
    dir: outDir,
    plan,
    summary,
    planText: text,
    seconds: timer.seconds,
    warm,
    printed,
    notes: choice?.say() ?? [],
    ...(choice === undefined ? {} : { parameters: choice.counts() }),
    ...(standalone === undefined
      ? {}
      : { standalone: { folder: standalone, build: buildLine(target.isa.flags) } }),
  };
}

/** The folder of a standalone program, where one is asked for. */
function wantsStandalone({ emit, target, outDir }: CompileOptions): string | undefined {
  if (emit !== "standalone") return undefined;
  if (target === "cuda") return `${outDir}/standalone`;
  throw new PacacError("usage", `Cannot write a standalone program for ${target}: it has none`, {
    place: { field: "--emit" },
    remedy: "use --target cuda",
  });
}

/** Kernels that write text are the cpu's and the reference's. */
function requireTraining({ decode }: CompileOptions): void {
  if (decode === undefined) return;
  throw new PacacError("target-unknown", "Cannot write text on cuda: its programs train only", {
    place: { field: "--target" },
    remedy: "use --target cpu: an adapter does not depend on where it was trained",
  });
}

/** The batch's shape as the program has it: one text as long as its caches, where it writes text. */
function shapeOf(spec: FineTuneSpec, decode: CompileOptions["decode"]): FineTuneSpec {
  if (decode === undefined) return spec;
  return { ...spec, train: { ...spec.train, batch: 1, accumulate: 1, seqLen: decode.context } };
}

function targetOf(
  name: CompileOptions["target"],
  { isa, gpu, rounds }: {
    readonly isa: IsaName;
    readonly gpu: GpuName | undefined;
    readonly rounds: boolean;
  },
): Target {
  if (name === "cuda") return gpu === undefined ? cudaTarget : cudaTargetOn(architectureOf(gpu));
  return name === "reference" ? referenceTarget : cpuTarget(isa, { rounds });
}

async function machineFor({ target }: Plan, options: CompileOptions): Promise<Machine> {
  if (target.name === "cuda") return gpuMachine(options.gpu ?? "h100");
  if (target.name === "reference") return REFERENCE_MACHINE;
  return await machineOf(target.isa, { threads: options.threads });
}

/**
 * Measures the machine's peak rates now: a shared machine's move from minute to minute.
 * @param isa Name of an instruction set of the cpu target, or `native`
 * @param threads How many
 * @param storage Of the program whose peak is meant
 * @throws {PacacError} target-unknown
 */
export async function machineNow(
  isa: string,
  threads: number,
  storage: FineTuneSpec["train"]["storage"],
): Promise<Machine> {
  const machine = await machineOf(cpuTarget(chooseIsa(isa)).isa, { threads, fresh: true });
  return machineAtStorage(machine, storage);
}

class Timer {
  readonly seconds: Record<string, number> = {};
  #last = performance.now();

  lap(stage: string): void {
    const now = performance.now();
    this.seconds[stage] = (now - this.#last) / 1000;
    this.#last = now;
  }
}

/** Whether this processor has an instruction set. */
function isHere(name: IsaName): boolean {
  return isasOf(cpuInfo()).includes(name);
}

function chooseIsa(
  name: string,
  { elsewhere = false }: { readonly elsewhere?: boolean } = {},
): IsaName {
  const here = isasOf(cpuInfo());
  if (name === "native") return here[0];
  if (!isIsaName(name)) {
    throw new PacacError(
      "target-unknown",
      `Cannot compile for "${name}": no such instruction set`,
      {
        place: { field: "--isa" },
        remedy: `use one of native, ${Object.keys(ISAS).join(", ")}`,
      },
    );
  }
  if (!elsewhere && !here.includes(name)) {
    throw new PacacError(
      "target-unknown",
      `Cannot build for ${name}: this processor does not have it`,
      {
        place: { field: "--isa" },
        remedy: `use --isa native, one of ${here.join(", ")}, or multi for a program to be moved`,
      },
    );
  }
  return name;
}

function printer(
  emit: string | undefined,
): { printed: string[]; after: (pass: string, graph: Graph) => void } {
  const printed: string[] = [];
  if (emit === undefined) return { printed, after: () => {} };
  const wanted = emit.replace(/^after:/, "");
  const known = ["all", ...GRAPH_PASSES] as readonly string[];
  if (!emit.startsWith("after:") || !known.includes(wanted)) {
    throw new PacacError("usage", `Cannot print "${emit}": there is no such pass`, {
      place: { field: "--emit" },
      remedy: `use after:PASS, PASS one of ${known.join(", ")}; or standalone`,
    });
  }
  let before = "";
  const after = (pass: string, graph: Graph) => {
    const text = print(graph);
    if (wanted === "all" || wanted === pass) {
      printed.push(`# after ${pass}${text === before ? " (unchanged)" : `\n${text}`}`);
    }
    before = text;
  };
  return { printed, after };
}

interface WriteOptions {
  readonly text: string;
  readonly decode: boolean;
  readonly json: string;
  readonly outDir: string;
  readonly standalone: string | undefined;
  /** Whether this processor can try the addon. */
  readonly probe: boolean;
  readonly timer: Timer;
  readonly progress: ((text: string) => void) | undefined;
}

async function writeReference(
  plan: Plan,
  { text, json, outDir, timer, decode }: WriteOptions,
): Promise<boolean> {
  const written = await emitTypescript(plan.info, { memo: new Cache(), decode });
  writeGenerated(outDir, [
    ...written.map(({ file, source }) => ({ file, content: source })),
    { file: GRAPH_FILE, content: print(plan.graph) },
    { file: "plan.txt", content: text },
    { file: "plan.json", content: json },
  ]);
  timer.lap("emit");
  return true;
}

async function writeNative(
  plan: Plan,
  { text, json, outDir, standalone, timer, decode, probe, progress = () => {} }: WriteOptions,
): Promise<boolean> {
  const cache = new Cache();
  const emitted = emitProgram(plan, { memo: cache, standalone: standalone !== undefined });
  const { sources, constants, main } = emitted;
  timer.lap("emit");
  const files: GeneratedFile[] = sources.map(({ file, source }) => ({ file, content: source }));
  Deno.mkdirSync(outDir, { recursive: true });
  const cuda = plan.target.name === "cuda";
  const built = await buildAddon(sources, {
    flags: plan.target.isa.flags,
    ...(cuda ? { toolchain: findNvcc() } : {}),
    cache,
    folder: outDir,
    onProgress: ({ done, total, file }) => progress(`compiled ${done}/${total} ${file}`),
  });
  timer.lap("build");
  if (probe) await probeAddon(built.path, { cache, make: !cuda });
  timer.lap("probe");
  const written = await emitTypescript(plan.info, {
    addon: built.name,
    constants: constants.places,
    memo: cache,
    decode,
  });
  writeGenerated(outDir, [
    ...files,
    { file: CONSTANTS_FILE, content: constants.bytes },
    ...written.map(({ file, source }) => ({ file, content: source })),
    { file: "plan.txt", content: text },
    { file: "plan.json", content: json },
  ], { keep: [built.name] });
  if (standalone !== undefined && main !== undefined) {
    const all = standaloneFiles([main, ...sources]);
    writeGenerated(standalone, all.map(({ file, source }) => ({ file, content: source })));
  }
  timer.lap("bindings");
  return built.compiled === 0;
}
