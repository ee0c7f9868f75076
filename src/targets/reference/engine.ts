/**
 * The reference target's engine: the trainer's contract over the interpreter. Slow, obvious, float64.
 * @module
 */
import { invariant, PacacError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { decayRates } from "../../ops/adamw.ts";
import type {
  Batch,
  DecodeEngine,
  Engine,
  ProgramInfo,
  StepSettings,
  WeightSource,
} from "../../train/engine.ts";
import { Interpreter } from "./interpret.ts";
import { interpretedPlacement } from "./target.ts";

/** Runs a graph by interpretation. */
export class ReferenceEngine implements Engine, DecodeEngine {
  /** What the program is. */
  readonly info: ProgramInfo;
  readonly #graph: Graph;
  readonly #interpreter: Interpreter;

  /**
   * Allocates a graph's tensors.
   * @param graph The graph after the passes
   * @param info The program's description
   */
  constructor(graph: Graph, info: ProgramInfo) {
    this.#graph = graph;
    this.info = info;
    this.#interpreter = new Interpreter(graph);
  }

  /**
   * Reads a tensor's values from a file.
   * @param name A weight or parameter
   * @param source Where its values lie
   * @throws {PacacError} io
   */
  load(name: string, source: WeightSource): void {
    const values = this.#values(name);
    values.set(readWeight(source, values.length));
  }

  /** Copies values into a tensor. */
  write(name: string, values: Float32Array | Int32Array): void {
    const own = this.#values(name);
    invariant(
      own.length === values.length,
      `${name} has ${own.length} values, not ${values.length}`,
    );
    own.set(values);
  }

  /** Copies a tensor's values out, as float32 or int32. */
  read(name: string): Float32Array | Int32Array {
    const values = this.#values(name);
    return values instanceof Int32Array ? values.slice() : Float32Array.from(values);
  }

  /** One optimiser step. */
  async step(
    batches: readonly Batch[],
    settings: StepSettings,
  ): Promise<{ loss: number; gradNorm: number }> {
    const { loss } = await this.gradients(batches);
    const { beta1, beta2 } = decayRates(this.info.optimizer);
    const { learningRate, weightDecay, maxGradNorm, step } = settings;
    this.#values("hyper").set([
      learningRate,
      weightDecay,
      maxGradNorm,
      1 - beta1 ** step,
      1 - beta2 ** step,
    ]);
    this.#interpreter.run("update");
    return { loss, gradNorm: this.#values("norm")[0] };
  }

  /** Forward and backward of all micro-batches. */
  gradients(batches: readonly Batch[]): Promise<{ loss: number }> {
    this.#values("gradients").fill(0);
    const scale = lossScale(batches, this.info.seqLen);
    let loss = 0;
    for (const batch of batches) {
      loss += this.#forward(batch, scale);
      this.#interpreter.run("backward");
    }
    return Promise.resolve({ loss });
  }

  /** Forward alone. */
  forward(batch: Batch): Promise<{ loss: number }> {
    return Promise.resolve({ loss: this.#forward(batch, lossScale([batch], this.info.seqLen)) });
  }

  /** Logits of some rows of the last forward. */
  logits(rows: Int32Array): Promise<Float32Array> {
    const own = this.#values("rows");
    own.fill(0).set(rows);
    this.#interpreter.run("logits");
    const vocab = this.info.vocabSize;
    return Promise.resolve(
      Float32Array.from(this.#values("logits").subarray(0, rows.length * vocab)),
    );
  }

  /** Runs a phase of a program that writes text. */
  run(phase: "prefill" | "decode"): Promise<void> {
    this.#interpreter.run(phase);
    return Promise.resolve();
  }

  /** Every tensor has its own memory, for good. */
  memory(): { arenaUsed: number; stepAllocations: number } {
    return { arenaUsed: interpretedPlacement(this.#graph).arenaBytes, stepAllocations: 0 };
  }

  /** Nothing to free. */
  dispose(): void {}

  #values(name: string): Float64Array | Int32Array {
    return this.#interpreter.values(this.#graph.get(name));
  }

  #forward(batch: Batch, scale: number): number {
    this.#values("input_ids").set(batch.inputIds);
    this.#values("labels").set(batch.labels);
    this.#values("segment_ids").set(batch.segmentIds);
    this.#values("loss_scale")[0] = scale;
    this.#interpreter.run("forward");
    return this.#values("loss")[0];
  }
}

/**
 * 1 / supervised positions of all micro-batches, 0 where there is none: position t counts where t-1 is in its document.
 * @param batches The micro-batches
 * @param seqLen Tokens of a row
 */
export function lossScale(batches: readonly Batch[], seqLen: number): number {
  let count = 0;
  for (const { labels, segmentIds } of batches) {
    for (let t = 1; t < labels.length; t++) {
      const inside = t % seqLen !== 0 && segmentIds[t] >= 0 && segmentIds[t] === segmentIds[t - 1];
      if (inside && labels[t] >= 0) count++;
    }
  }
  return count === 0 ? 0 : 1 / count;
}

const WIDTH = { F32: 4, BF16: 2, F16: 2 } as const;

function readWeight(source: WeightSource, count: number): Float64Array {
  const bytes = new Uint8Array(count * WIDTH[source.dtype]);
  using file = Deno.openSync(source.file);
  file.seekSync(source.byteOffset, Deno.SeekMode.Start);
  let done = 0;
  while (done < bytes.length) {
    const read = file.readSync(bytes.subarray(done));
    if (read === null) {
      throw new PacacError("io", "Cannot read weights: the file ends early", {
        place: { file: source.file, byte: source.byteOffset + done },
        remedy: "fetch the file again",
      });
    }
    done += read;
  }
  const view = new DataView(bytes.buffer);
  const widen = new Float32Array(1);
  const bits = new Uint32Array(widen.buffer);
  return Float64Array.from({ length: count }, (_, i) => {
    if (source.dtype === "F32") return view.getFloat32(4 * i, true);
    if (source.dtype === "F16") return view.getFloat16(2 * i, true);
    bits[0] = view.getUint16(2 * i, true) << 16;
    return widen[0];
  });
}
