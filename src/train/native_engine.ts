/**
 * The engine of native targets: the trainer's contract over a program's addon.
 *
 * The addon computes off the event loop and takes one call at a time; this class makes calls wait for one another, gives
 * tensors their names, and turns the addon's complaints into errors that say what to do.
 * @module
 */
import process from "node:process";
import { type ErrorCode, PacacError } from "../errors.ts";
import { type KernelTrace, type NativeTrace, readTrace } from "./kernel_trace.ts";
import type {
  Batch,
  DecodeEngine,
  Engine,
  ProgramInfo,
  StepSettings,
  WeightSource,
} from "./engine.ts";

/** A tensor's values as they cross into native code. */
export type NativeValues = Float32Array | Int32Array;

/** A kernel's share of the time so far. */
export interface KernelProfile {
  /** Its name. */
  readonly kernel: string;
  /** How often it ran. */
  readonly calls: number;
  /** From the first thread's begin until all have finished, all calls together. */
  readonly seconds: number;
  /** Without the wait for the others at a call's end, the mean of the threads. */
  readonly worked: number;
  /** Floating-point operations of one call, as the plan counts them. */
  readonly flops: number;
  /** Bytes that one call moves, each operand once. */
  readonly bytes: number;
}

/** What an addon's program can do; see native/addon/addon.cpp. */
export interface NativeProgram {
  /** Names of its tensors, by the index that other calls take. */
  tensors(): string[];
  /** Fills a tensor from a file, at a byte offset, and maps what has the right type. */
  load(index: number, file: string, byteOffset: number, dtype: "F32" | "BF16" | "F16"): void;
  /** Copies values into a tensor. */
  write(index: number, values: NativeValues): void;
  /** Copies a tensor's values out; bf16 is widened. */
  read(index: number): NativeValues;
  /** Settings: learning rate, weight decay, largest gradient norm, number of the step. */
  step(batches: readonly Batch[], settings: Float64Array): Promise<NativeResult>;
  /** Forward and backward of all micro-batches, without an update. */
  gradients(batches: readonly Batch[]): Promise<NativeResult>;
  /** Forward of one micro-batch. */
  forward(batch: Batch): Promise<NativeResult>;
  /** Logits [rows, vocab] of rows of the last forward, at most `logitsRows` of them. */
  logits(rows: Int32Array): Promise<Float32Array>;
  /** Runs a phase of a program that writes text on what its inputs hold. */
  run(phase: "prefill" | "decode"): Promise<void>;
  /** What it holds. */
  memory(): NativeMemory;
  /** Time of each kernel so far. */
  profile(): KernelProfile[];
  /** Keeps the times of the next kernel calls, so many of them; 0 ends it and frees their memory. */
  trace(calls: number): void;
  /** What was kept. */
  traced(): NativeTrace;
  /** Frees everything. */
  dispose(): void;
}

/** What a native phase gives. */
export interface NativeResult {
  /** Mean over supervised positions. */
  readonly loss: number;
  /** Global norm before clipping; 0 where there was no update. */
  readonly gradNorm: number;
}

/** What a native program holds, in bytes; and the rows that one logits call takes. */
export interface NativeMemory {
  /** Bytes of the arena touched so far. */
  readonly arenaUsed: number;
  /** Bytes of weights that could not be mapped as they lie in the file. */
  readonly weightsCopied: number;
  /** Allocations made inside steps; 0 is promised. */
  readonly stepAllocations: number;
  /** Rows that one logits call takes. */
  readonly logitsRows: number;
  /** Instruction set of the program's kernels. */
  readonly isa: string;
  /** Threads that it runs on. */
  readonly threads: number;
}

/** How a native program is made. */
export interface NativeOptions {
  /** At most as many as the program was planned for, which is the default. */
  readonly threads?: number;
  /** Keep each thread on one processor. Faster where the machine is ours alone, slower where it is shared. */
  readonly pin?: boolean;
  /**
   * Fill memory with NaN at first, so that reading what was never written shows, and give threads shares of the work that differ, so that
   * a result that depends on them shows.
   */
  readonly poison?: boolean;
}

/** What an addon exports. */
export interface NativeModule {
  /** Makes the program of this addon. */
  readonly NativeProgram: new (options: NativeOptions) => NativeProgram;
  /** Instruction sets that this processor has, the best first. */
  readonly instructionSets: () => string[];
}

/** Constants of a program, float32 in one file. */
export interface ConstantSource {
  /** The tensor. */
  readonly name: string;
  /** File of float32 values. */
  readonly file: string;
  /** Offset of the first value, in bytes. */
  readonly byteOffset: number;
}

/** What {@linkcode NativeEngine} takes beside the addon. */
export interface NativeEngineOptions extends NativeOptions {
  /** What the program is. */
  readonly info: ProgramInfo;
  /** Tensors that never change, filled here. */
  readonly constants?: readonly ConstantSource[];
}

/**
 * Loads an addon into this process. The system never loads a path twice and never unloads one: an addon's name is a hash.
 * @param path The addon
 * @throws {PacacError} load-failed
 */
export function openAddon(path: string): NativeModule {
  const module: { exports: Partial<NativeModule> } = { exports: {} };
  const about = { code: "load-failed", action: "load the addon", file: path } as const;
  const remedy = "compile the model again on this machine";
  translated(() => process.dlopen(module, path), { ...about, remedy });
  const { NativeProgram, instructionSets } = module.exports;
  if (NativeProgram !== undefined && instructionSets !== undefined) {
    return { NativeProgram, instructionSets };
  }
  throw complaint("it is not one of pacac's", { ...about, remedy });
}

/** Runs a compiled program. */
export class NativeEngine implements Engine, DecodeEngine {
  /** What the program is. */
  readonly info: ProgramInfo;
  readonly #program: NativeProgram;
  readonly #indices: ReadonlyMap<string, number>;
  readonly #logitsRows: number;
  #last: Promise<unknown> = Promise.resolve();
  #running = 0;

  /**
   * Makes the native program and fills its constants.
   * @param module What the program's addon exports
   * @param options The program's description, threads
   * @throws {PacacError} load-failed, where there is not enough memory; io
   */
  constructor(module: NativeModule, options: NativeEngineOptions) {
    const { info, constants = [], threads, pin = false, poison = false } = options;
    const native = { pin, poison, ...(threads === undefined ? {} : { threads }) };
    this.info = info;
    this.#program = translated(
      () => new module.NativeProgram(native),
      {
        code: "load-failed",
        action: "start the program",
        remedy: REMEDY_START[info.target === "cuda" ? "cuda" : "cpu"],
      },
    );
    const names = this.#program.tensors();
    this.#indices = new Map(names.map((name, index) => [name, index]));
    this.#logitsRows = this.#program.memory().logitsRows;
    for (const { name, ...source } of constants) this.load(name, { ...source, dtype: "F32" });
  }

  /**
   * Gives a tensor its values from a file; a weight of the right type is mapped.
   * @param name A weight or parameter
   * @param source Where its values lie
   * @throws {PacacError} io
   */
  load(name: string, source: WeightSource): void {
    const index = this.#index(name);
    translated(
      () => this.#program.load(index, source.file, source.byteOffset, source.dtype),
      { code: "io", action: `load ${name}`, remedy: "check the weights' files", file: source.file },
    );
  }

  /**
   * Copies values into a tensor.
   * @param name The tensor
   * @param values As many as it has
   * @throws {PacacError} weights-mismatch
   */
  write(name: string, values: NativeValues): void {
    const index = this.#index(name);
    translated(
      () => this.#program.write(index, values),
      {
        code: "weights-mismatch",
        action: `write ${name}`,
        remedy: "see trainer.tensors for its shape",
      },
    );
  }

  /**
   * Copies a tensor's values out.
   * @param name The tensor
   * @throws {PacacError} weights-mismatch, where it has none yet
   */
  read(name: string): NativeValues {
    const index = this.#index(name);
    return translated(
      () => this.#program.read(index),
      { code: "weights-mismatch", action: `read ${name}`, remedy: "load the weights first" },
    );
  }

  /** One optimiser step. */
  step(
    batches: readonly Batch[],
    settings: StepSettings,
  ): Promise<{ loss: number; gradNorm: number }> {
    const { learningRate, weightDecay, maxGradNorm, step } = settings;
    const values = Float64Array.of(learningRate, weightDecay, maxGradNorm, step);
    return this.#serial("train on the batch", () => this.#program.step(batches, values));
  }

  /** Forward and backward of all micro-batches. */
  async gradients(batches: readonly Batch[]): Promise<{ loss: number }> {
    const run = () => this.#program.gradients(batches);
    const { loss } = await this.#serial("compute gradients of the batch", run);
    return { loss };
  }

  /** Forward alone. */
  async forward(batch: Batch): Promise<{ loss: number }> {
    const { loss } = await this.#serial("run the batch", () => this.#program.forward(batch));
    return { loss };
  }

  /** Logits of some rows of the last forward, any number of them. */
  async logits(rows: Int32Array): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (let at = 0; at < rows.length; at += this.#logitsRows) {
      const some = rows.slice(at, at + this.#logitsRows);
      parts.push(await this.#serial("compute logits", () => this.#program.logits(some)));
    }
    return parts.length === 1 ? parts[0] : joined(parts);
  }

  /** Runs a phase of a program that writes text. */
  run(phase: "prefill" | "decode"): Promise<void> {
    return this.#serial("go on with the text", () => this.#program.run(phase));
  }

  /** Bytes that kernels were given so far, and allocations made by steps. */
  memory(): NativeMemory {
    return this.#program.memory();
  }

  /** Time of each kernel so far. */
  profile(): KernelProfile[] {
    return this.#program.profile();
  }

  /**
   * Begins to keep the times of kernel calls on every thread, once the calls so far have ended; or ends it.
   * @param calls How many there is room for, up to 262144; later ones are counted only. 0 ends it
   */
  trace(calls: number): Promise<void> {
    return this.#serial("trace", async () => await this.#program.trace(calls));
  }

  /** The calls kept since {@linkcode trace}. */
  traced(): KernelTrace {
    const kernels = this.#program.profile();
    return readTrace(this.#program.traced(), { kernels, tensors: [...this.#indices.keys()] });
  }

  /** Frees everything, once the calls so far have ended. */
  dispose(): void {
    const free = () => this.#program.dispose();
    if (this.#running === 0) free();
    else this.#last = this.#last.then(free);
  }

  #index(name: string): number {
    const index = this.#indices.get(name);
    if (index !== undefined) return index;
    throw new PacacError("weights-mismatch", `Cannot find tensor ${name}: the program has none`, {
      place: { field: name },
      remedy: "see trainer.tensors for the names",
    });
  }

  /** Runs `call` after all calls before it, whether they went well or not (`#last` never rejects). */
  #serial<T>(action: string, call: () => Promise<T>): Promise<T> {
    this.#running++;
    const result = this.#last.then(call).catch((cause: unknown) => {
      throw complaint(cause, { code: "batch-invalid", action, remedy: REMEDY_BATCH });
    }).finally(() => this.#running--);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** What helps a program that does not start, by target. */
const REMEDY_START = {
  cpu: "free memory or ask for fewer threads",
  cuda: "use a machine with an NVIDIA GPU of the compiled architecture or newer, its driver and " +
    "enough free memory on it; or compile with --target cpu",
} as const;

const REMEDY_BATCH =
  "give Int32Arrays of [batch, seqLen] with ids below the vocabulary's size, after loading all weights";

interface Complaint {
  readonly code: ErrorCode;
  readonly action: string;
  readonly remedy: string;
  readonly file?: string;
}

function translated<T>(call: () => T, about: Complaint): T {
  try {
    return call();
  } catch (cause) {
    throw complaint(cause, about);
  }
}

function complaint(cause: unknown, { code, action, remedy, file }: Complaint): PacacError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PacacError(code, `Cannot ${action}: ${why}`, {
    place: file === undefined ? {} : { file },
    remedy,
    cause,
  });
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
