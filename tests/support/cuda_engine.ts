/**
 * The trainer's contract over the emulator: a cuda plan's launches on emulated memory, in the order of the very schedule and
 * kernel table that emission writes as C++.
 *
 * Every tensor has a buffer of its own, so that an access past its end is found; the plan's placement is proven by verify_plan.
 * @module
 */
import { type KernelSource, renderKernels } from "../../src/emit/kernel_source.ts";
import { type KernelRow, kernelTable } from "../../src/emit/kernel_table.ts";
import { Renderer } from "../../src/emit/render.ts";
import { programInfo } from "../../src/emit/info.ts";
import { played, type Schedule, scheduleOf } from "../../src/emit/schedule_data.ts";
import { type TensorTable, tensorTable } from "../../src/emit/tensor_table.ts";
import {
  type CounterReport,
  Device,
  type DeviceBuffer,
  type Finding,
  parse,
  type PtxModule,
  toBf16,
} from "../../src/emulator/mod.ts";
import { bytesOf, type Graph, type Phase, type Tensor } from "../../src/graph/graph.ts";
import { constantValues } from "../../src/graph/recipes.ts";
import { decayRates } from "../../src/ops/adamw.ts";
import { place } from "../../src/passes/place.ts";
import { type Chooser, select } from "../../src/passes/select.ts";
import { verifyPlan } from "../../src/passes/verify_plan.ts";
import { must } from "../../src/errors.ts";
import type { FineTuneSpec } from "../../src/spec/description.ts";
import { lossScale } from "../../src/targets/reference/engine.ts";
import { cudaTarget } from "../../src/targets/cuda/mod.ts";
import type { Plan, PlannedCall } from "../../src/targets/plan.ts";
import type {
  Batch,
  Engine,
  ProgramInfo,
  StepSettings,
  WeightSource,
} from "../../src/train/engine.ts";
import { ptxOf, withHeaders } from "./nvcc.ts";

/**
 * The cuda plan of a graph.
 * @param graph A graph after the passes, bf16 throughout
 * @param options Description, vocabulary, tuned values
 */
export function cudaPlan(
  graph: Graph,
  options: {
    readonly spec: FineTuneSpec;
    readonly vocabSize: number;
    readonly choose?: Chooser | undefined;
  },
): Plan {
  const { choose = () => undefined } = options;
  const calls = select(graph, cudaTarget, { choose });
  const placement = place(graph, calls, 1);
  verifyPlan(graph, calls, { ...placement, threads: 1 });
  const { arenaBytes } = placement;
  const info = programInfo(graph, {
    spec: options.spec,
    vocabSize: options.vocabSize,
    target: "cuda",
    arenaBytes,
    source: "",
    config: {},
  });
  return { ...placement, graph, target: cudaTarget, threads: 1, calls, info };
}

/** What the launches of an engine showed so far. */
export interface Watched {
  readonly kernel: string;
  readonly entry: string;
  readonly findings: readonly Finding[];
  readonly counters: CounterReport;
  readonly seconds: number;
}

/** Whether accesses are judged, and faults that a test plants. */
export interface EmulatedOptions {
  /** Default true. */
  readonly check?: boolean;
  /** Changes a kernel's source, its headers in it, before it is compiled. */
  readonly edit?: (source: string) => string;
}

/**
 * Compiles a plan's kernels to PTX and opens it.
 * @param plan A cuda plan
 * @param options Whether accesses are judged
 */
export async function openEmulated(
  plan: Plan,
  options: EmulatedOptions = {},
): Promise<EmulatedEngine> {
  const { sources, symbolOf } = renderPlan(plan);
  const modules = new Map<string, PtxModule>();
  const { edit } = options;
  const texts = await Promise.all(
    sources.map(({ source }) => ptxOf(edit === undefined ? source : edit(withHeaders(source)))),
  );
  sources.forEach(({ symbol }, i) => modules.set(symbol, parse(texts[i])));
  return new EmulatedEngine(plan, { modules, symbolOf, check: options.check ?? true });
}

/**
 * The kernels' sources of a plan, each distinct text once.
 * @param plan A cuda plan
 */
export function renderCuda(plan: Plan): readonly KernelSource[] {
  return renderPlan(plan).sources;
}

function renderPlan(plan: Plan): ReturnType<typeof renderKernels> {
  const renderer = new Renderer();
  return renderKernels(plan.calls, { isa: plan.target.isa, renderer, target: "cuda" });
}

/** Runs a cuda plan in the emulator. */
export class EmulatedEngine implements Engine {
  readonly info: ProgramInfo;
  /** Every launch with what was found. */
  readonly launches: Watched[] = [];
  readonly #plan: Plan;
  readonly #device = new Device();
  readonly #buffers = new Map<Tensor, DeviceBuffer>();
  readonly #modules: ReadonlyMap<string, PtxModule>;
  readonly #table: TensorTable;
  readonly #schedule: Schedule;
  readonly #kernels: ReadonlyMap<string, KernelRow>;
  readonly #check: boolean;

  constructor(
    plan: Plan,
    options: {
      readonly modules: ReadonlyMap<string, PtxModule>;
      readonly symbolOf: ReadonlyMap<PlannedCall, string>;
      readonly check: boolean;
    },
  ) {
    this.#plan = plan;
    this.info = plan.info;
    this.#modules = options.modules;
    const { symbolOf } = options;
    this.#table = tensorTable(plan);
    this.#schedule = scheduleOf(plan, { table: this.#table, symbolOf });
    this.#kernels = new Map(kernelTable(plan, symbolOf).map((row) => [row.symbol, row]));
    this.#check = options.check;
    for (const tensor of plan.graph.tensors.filter(({ view }) => view === undefined)) {
      // Trained tensors and moments start as zeros, as the engine's memory does.
      const initialised = tensor.role !== "activation" && tensor.role !== "output";
      this.#buffers.set(tensor, this.#device.alloc(tensor.name, bytesOf(tensor), { initialised }));
      if (tensor.recipe !== undefined) {
        this.write(tensor.name, Float32Array.from(constantValues(tensor.recipe)));
      }
    }
  }

  load(name: string, source: WeightSource): void {
    if (source.dtype !== "F32") throw new Error("the golden models are float32");
    const tensor = this.#plan.graph.get(name);
    const count = tensor.shape.reduce((a, b) => a * b, 1);
    using file = Deno.openSync(source.file);
    file.seekSync(source.byteOffset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(4 * count);
    if (file.readSync(bytes) !== bytes.length) throw new Error(`${source.file} ends early`);
    this.write(name, new Float32Array(bytes.buffer));
  }

  write(name: string, values: Float32Array | Int32Array): void {
    const tensor = this.#plan.graph.get(name);
    const content = tensor.dtype === "bf16" ? toBf16(values) : values;
    const { base, offset } = this.#place(tensor);
    const whole = this.#device.read(base);
    whole.set(new Uint8Array(content.buffer, content.byteOffset, content.byteLength), offset);
    this.#device.write(base, whole);
  }

  read(name: string): Float32Array | Int32Array {
    const tensor = this.#plan.graph.get(name);
    const { base, offset } = this.#place(tensor);
    const bytes = this.#device.read(base).slice(offset, offset + bytesOf(tensor));
    if (tensor.dtype === "i32") return new Int32Array(bytes.buffer);
    if (tensor.dtype === "f32") return new Float32Array(bytes.buffer);
    const bits = Uint32Array.from(new Uint16Array(bytes.buffer), (b) => b << 16);
    return new Float32Array(bits.buffer);
  }

  async step(
    batches: readonly Batch[],
    settings: StepSettings,
  ): Promise<{ loss: number; gradNorm: number }> {
    const { loss } = await this.gradients(batches);
    const { beta1, beta2 } = decayRates(this.info.optimizer);
    const { learningRate, weightDecay, maxGradNorm, step } = settings;
    const bias = [1 - beta1 ** step, 1 - beta2 ** step];
    this.write("hyper", Float32Array.of(learningRate, weightDecay, maxGradNorm, ...bias));
    this.#run("update");
    return { loss, gradNorm: this.read("norm")[0] };
  }

  gradients(batches: readonly Batch[]): Promise<{ loss: number }> {
    const gradients = this.#plan.graph.get("gradients");
    this.write("gradients", new Float32Array(gradients.shape[0]));
    const scale = lossScale(batches, this.info.seqLen);
    let loss = 0;
    for (const batch of batches) {
      loss += this.#forward(batch, scale);
      this.#run("backward");
    }
    return Promise.resolve({ loss });
  }

  forward(batch: Batch): Promise<{ loss: number }> {
    return Promise.resolve({ loss: this.#forward(batch, lossScale([batch], this.info.seqLen)) });
  }

  logits(rows: Int32Array): Promise<Float32Array> {
    const own = new Int32Array(this.#plan.graph.get("rows").shape[0]);
    own.set(rows);
    this.write("rows", own);
    this.#run("logits");
    const values = this.read("logits").subarray(0, rows.length * this.info.vocabSize);
    return Promise.resolve(Float32Array.from(values));
  }

  memory(): { arenaUsed: number; stepAllocations: number } {
    return { arenaUsed: this.info.arenaBytes, stepAllocations: 0 };
  }

  dispose(): void {}

  #place(tensor: Tensor): { base: DeviceBuffer; offset: number } {
    const { view } = tensor;
    const base = this.#buffers.get(view?.base ?? tensor);
    if (base === undefined) throw new Error(`${tensor.name} has no buffer`);
    return { base, offset: (view?.offset ?? 0) * 4 };
  }

  #forward(batch: Batch, scale: number): number {
    this.write("input_ids", batch.inputIds);
    this.write("labels", batch.labels);
    this.write("segment_ids", batch.segmentIds);
    this.write("loss_scale", Float32Array.of(scale));
    this.#run("forward");
    return this.read("loss")[0];
  }

  #run(phase: Phase): void {
    for (const { symbol, tensors } of played(this.#schedule, phase)) this.#call(symbol, tensors);
  }

  #call(symbol: string, tensors: readonly number[]): void {
    const module = must(this.#modules.get(symbol), `module of ${symbol}`);
    const { workspace, launches } = must(this.#kernels.get(symbol), symbol);
    const operands = tensors.map((row) => {
      const { base, offset } = this.#place(this.#table.rows[row].tensor);
      return base.at(offset);
    });
    const space = workspace > 0 ? [this.#device.alloc(`workspace of ${symbol}`, workspace)] : [];
    for (const { entry, grid, threads, shared, part } of launches) {
      const report = module.launch(`${symbol}${entry}`, {
        device: this.#device,
        grid,
        block: threads,
        shared,
        args: [...operands, ...space, ...part === undefined ? [] : [part]],
        check: this.#check,
      });
      this.launches.push({
        kernel: symbol,
        entry,
        findings: report.findings,
        counters: report.counters,
        seconds: report.seconds,
      });
    }
  }
}
