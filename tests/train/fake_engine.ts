/**
 * An engine small enough to read, which truly learns: y = x Weᵀ, x = embed[id], softmax over the vocabulary predicts the next token.
 * It keeps to the contract of src/train/engine.ts, views and accumulation and AdamW included, so the trainer is tested without a compiler.
 */
import { readFileSync } from "node:fs";
import type {
  Batch,
  Engine,
  ProgramInfo,
  Role,
  StepSettings,
  TensorInfo,
  WeightSource,
} from "../../src/train/engine.ts";

const VOCAB = 11, WIDTH = 6, RANK = 3, ROWS = 4;
const PADDED = 48; // VOCAB * RANK = 33 or VOCAB * WIDTH = 66, at multiples of 16
const PADDED_FULL = 80;

/** What a fake program can be varied in. */
export interface FakeOptions {
  readonly method?: "paca" | "full";
  readonly parametrisation?: "delta" | "weight";
  readonly hash?: string;
  readonly accumulate?: number;
  readonly batch?: number;
  readonly seqLen?: number;
}

/** The program's data. */
export function fakeInfo(options: FakeOptions = {}): ProgramInfo {
  const { method = "paca", parametrisation = "delta", hash = "fake-1", accumulate = 2 } = options;
  const { batch = 2, seqLen = 8 } = options;
  const paca = method === "paca";
  const size = paca ? PADDED : PADDED_FULL;
  const f32 = (name: string, role: Role, shape: number[]): TensorInfo => ({
    name,
    role,
    shape,
    dtype: "f32",
  });
  const i32 = (name: string, role: Role, shape: number[]): TensorInfo => ({
    name,
    role,
    shape,
    dtype: "i32",
  });
  const trained: TensorInfo = paca
    ? f32("head.paca_delta", "parameter", [VOCAB, RANK])
    : f32("head.weight", "parameter", [VOCAB, WIDTH]);
  const anchors = parametrisation === "weight"
    ? [f32("anchor", "constant", [size]), f32("head.paca_anchor", "constant", [VOCAB, RANK])]
    : [];
  const frozen = paca ? [f32("head.weight", "weight", [VOCAB, WIDTH])] : [];
  const indices = paca ? [i32("head.paca_indices", "index", [RANK])] : [];
  return {
    name: "fake",
    target: "fake",
    hash,
    batch,
    seqLen,
    vocabSize: VOCAB,
    source: "",
    storage: "f32",
    weights: "f32",
    method,
    rank: paca ? RANK : 0,
    alpha: paca ? 6 : 0,
    parametrisation,
    seed: 5,
    adapted: paca
      ? [{
        module: "head",
        outFeatures: VOCAB,
        inFeatures: WIDTH,
        weight: "head.weight",
        delta: "head.paca_delta",
        indices: "head.paca_indices",
      }]
      : [],
    optimizer: {
      kind: "adamw",
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
    },
    schedule: { kind: "cosine", warmup: 0.1, floor: 0.1 },
    accumulate,
    maxGradNorm: 1,
    tensors: [
      f32("embed.weight", "weight", [VOCAB, WIDTH]),
      ...frozen,
      trained,
      ...indices,
      ...["parameters", "gradients", "moment1", "moment2"].map((name, i) =>
        f32(name, (["parameter", "gradient", "moment", "moment"] as const)[i], [size])
      ),
      f32(`${trained.name}.grad`, "gradient", trained.shape as number[]),
      ...anchors,
      i32("rows", "input", [ROWS]),
    ],
    arenaBytes: 0,
    flopsPerStep: 0,
    config: {},
  };
}

/** The engine. */
export class FakeEngine implements Engine {
  readonly info: ProgramInfo;
  disposed = false;
  /** Called before each step, for tests that interfere. */
  beforeStep: (step: number) => void = () => {};
  /** Names that were loaded from files. */
  readonly loaded: string[] = [];
  readonly #values = new Map<string, Float32Array | Int32Array>();
  #last: Batch | undefined;

  constructor(options: FakeOptions = {}) {
    this.info = fakeInfo(options);
    for (const { name, shape, dtype } of this.info.tensors) {
      const size = shape.reduce((a, b) => a * b, 1);
      this.#values.set(
        name,
        dtype === "i32" ? new Int32Array(size) : new Float32Array(size).fill(NaN),
      );
    }
    const view = (name: string, base: string) => {
      const size = this.#get(name).length;
      this.#values.set(name, this.#get(base).subarray(0, size));
    };
    const trained = this.#trained();
    view(trained, "parameters");
    view(`${trained}.grad`, "gradients");
    if (this.#values.has("anchor")) view("head.paca_anchor", "anchor");
    for (const flat of ["parameters", "gradients", "moment1", "moment2"]) this.#get(flat).fill(0);
    if (this.#values.has("anchor")) this.#get("anchor").fill(0);
  }

  load(name: string, { file, byteOffset, dtype }: WeightSource): void {
    if (dtype !== "F32") throw new Error(`fake engine cannot load ${dtype}`);
    const target = this.#get(name);
    const bytes = new Uint8Array(readFileSync(file)).slice(
      byteOffset,
      byteOffset + target.byteLength,
    );
    target.set(new Float32Array(bytes.buffer));
    this.loaded.push(name);
  }

  write(name: string, values: Float32Array | Int32Array): void {
    this.#get(name).set(values);
  }

  read(name: string): Float32Array | Int32Array {
    return this.#get(name).slice();
  }

  async step(
    batches: readonly Batch[],
    settings: StepSettings,
  ): Promise<{ loss: number; gradNorm: number }> {
    this.beforeStep(settings.step);
    const { loss } = await this.gradients(batches);
    return { loss, gradNorm: this.#update(settings) };
  }

  gradients(batches: readonly Batch[]): Promise<{ loss: number }> {
    this.#get("gradients").fill(0);
    const total = batches.reduce((sum, batch) => sum + this.#targets(batch).length, 0);
    let loss = 0;
    for (const batch of batches) loss += this.#visit(batch, 1 / total, true);
    return Promise.resolve({ loss: Math.fround(loss) });
  }

  forward(batch: Batch): Promise<{ loss: number }> {
    this.#last = batch;
    return Promise.resolve({ loss: this.#visit(batch, 1 / this.#targets(batch).length, false) });
  }

  logits(rows: Int32Array): Promise<Float32Array> {
    const last = this.#last;
    if (last === undefined || rows.length > ROWS) throw new Error("fake engine: no such rows");
    const logits = new Float32Array(rows.length * VOCAB);
    rows.forEach((row, i) => logits.set(this.#logitsOf(last.inputIds[row]), i * VOCAB));
    return Promise.resolve(logits);
  }

  memory(): { arenaUsed: number; stepAllocations: number } {
    return { arenaUsed: 0, stepAllocations: 0 };
  }

  dispose(): void {
    this.disposed = true;
  }

  #trained(): string {
    return this.info.method === "paca" ? "head.paca_delta" : "head.weight";
  }

  #get(name: string): Float32Array | Int32Array {
    const values = this.#values.get(name);
    if (values === undefined) throw new Error(`fake engine has no tensor ${name}`);
    return values;
  }

  /** [position, target] of what is predicted. */
  #targets({ labels, segmentIds }: Batch): [number, number][] {
    const { seqLen } = this.info;
    const found: [number, number][] = [];
    for (let t = 1; t < labels.length; t++) {
      const predicted = t % seqLen > 0 && segmentIds[t] >= 0 && segmentIds[t] === segmentIds[t - 1];
      if (predicted && labels[t] !== -100) found.push([t - 1, labels[t]]);
    }
    return found;
  }

  #effective(): Float64Array {
    const weight = Float64Array.from(this.#get("head.weight"));
    if (this.info.method === "full") return weight;
    const scale = this.info.alpha / this.info.rank;
    const delta = this.#get("head.paca_delta"), columns = this.#get("head.paca_indices");
    for (let o = 0; o < VOCAB; o++) {
      for (let r = 0; r < RANK; r++) weight[o * WIDTH + columns[r]] += scale * delta[o * RANK + r];
    }
    return weight;
  }

  #logitsOf(id: number): Float64Array {
    const weight = this.#effective(), embed = this.#get("embed.weight");
    return Float64Array.from({ length: VOCAB }, (_, o) => {
      let sum = 0;
      for (let k = 0; k < WIDTH; k++) sum += embed[id * WIDTH + k] * weight[o * WIDTH + k];
      return sum;
    });
  }

  /** Loss times scale; dL/dlogits = softmax - onehot, dW = dlogitsᵀ x, and of that the trained columns. */
  #visit(batch: Batch, scale: number, backward: boolean): number {
    const gradients = this.#get("gradients"), embed = this.#get("embed.weight");
    const paca = this.info.method === "paca";
    const columns = paca ? [...this.#get("head.paca_indices")] : [...Array(WIDTH).keys()];
    const factor = paca ? this.info.alpha / this.info.rank : 1;
    let loss = 0;
    for (const [t, target] of this.#targets(batch)) {
      const id = batch.inputIds[t];
      const logits = this.#logitsOf(id);
      const highest = Math.max(...logits);
      const weights = logits.map((x) => Math.exp(x - highest));
      const total = weights.reduce((a, b) => a + b, 0);
      loss -= (logits[target] - highest - Math.log(total)) * scale;
      if (!backward) continue;
      for (let o = 0; o < VOCAB; o++) {
        const d = (weights[o] / total - (o === target ? 1 : 0)) * scale * factor;
        columns.forEach((k, c) => gradients[o * columns.length + c] += d * embed[id * WIDTH + k]);
      }
    }
    return loss;
  }

  #update({ learningRate, weightDecay, maxGradNorm, step }: StepSettings): number {
    const { optimizer } = this.info;
    if (optimizer.kind !== "adamw") throw new Error("fake engine: AdamW alone");
    const { beta1, beta2, epsilon } = optimizer;
    const p = this.#get("parameters"), g = this.#get("gradients");
    const m = this.#get("moment1"), v = this.#get("moment2");
    const anchor = this.#values.get("anchor");
    const norm = Math.sqrt([...g].reduce((sum, x) => sum + x * x, 0));
    const clip = maxGradNorm > 0 ? Math.min(1, maxGradNorm / (norm + 1e-6)) : 1;
    for (let i = 0; i < p.length; i++) {
      const gi = g[i] * clip;
      m[i] = beta1 * m[i] + (1 - beta1) * gi;
      v[i] = beta2 * v[i] + (1 - beta2) * gi * gi;
      p[i] -= learningRate * weightDecay * (p[i] - (anchor?.[i] ?? 0));
      const corrected = Math.sqrt(v[i] / (1 - beta2 ** step)) + epsilon;
      p[i] -= learningRate * (m[i] / (1 - beta1 ** step)) / corrected;
    }
    return norm;
  }
}
