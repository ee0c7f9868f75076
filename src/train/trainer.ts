/**
 * The trainer: one compiled program with its weights, as people use it.
 *
 * It checks what comes in, keeps count of steps, and leaves computing to an {@linkcode Engine} and files to their own modules.
 * @module
 */
import { PacacError } from "../errors.ts";
import { checkBatch, checkStep } from "./batch.ts";
import { loadCheckpoint, saveCheckpoint, type SaveOptions } from "./checkpoint.ts";
import type { DataIdentity } from "./data/identity.ts";
import type { Batch, Engine, ProgramInfo, TensorInfo } from "./engine.ts";
import type { TrainEvent } from "./events.ts";
import { saveAdapter, type SaveAdapterOptions } from "./adapter.ts";
import { type MergeOptions, saveMerged } from "./merge.ts";
import { refreshAnchors } from "./anchors.ts";
import { train, type TrainOptions } from "./loop.ts";
import type { RunPlan } from "./run_plan.ts";
import type { EvaluateResult, StepOptions, StepResult } from "./results.ts";
import {
  checkColumns,
  elementsOf,
  floats,
  GRADIENT_SUFFIX,
  logitsRows,
  trainedTensors,
} from "./program.ts";

/** A program's tensors by name; generated bindings narrow it to one model's. */
export type TensorTable = Readonly<Record<string, TensorInfo>>;

/** Values of a tensor by its type. */
export type Values<Info extends TensorInfo> = Info["dtype"] extends "i32" ? Int32Array
  : Float32Array;

/** What a {@linkcode Trainer} is made of beside the engine. */
export interface TrainerOptions {
  /** Folder or file that the weights came from, for merged models. */
  readonly weights?: string;
  /** Of the data's order; the model description's where it is not said. */
  readonly seed?: number;
}

/** Where a run stands beside its steps: what a checkpoint keeps so that going on is as if it had not stopped. */
export interface RunState {
  /** What the run is trained on, where that has an identity. */
  readonly data?: DataIdentity;
  /** What it is validated on, where that is data of its own. */
  readonly validation?: DataIdentity;
  /** Its steps and rates, where the data has an identity. */
  readonly plan?: RunPlan;
  /** The best evaluation so far. */
  readonly best?: BestLoss;
  /** Whether the evaluation after the last step is still to come: it was interrupted. */
  readonly unevaluated?: true;
}

/** The lowest validation loss of a run. */
export interface BestLoss {
  /** The loss. */
  readonly loss: number;
  /** Steps done at that time. */
  readonly step: number;
  /** Evaluations since, none of which was lower. */
  readonly since: number;
}

/** Fine-tunes one model. Loaded by {@linkcode loadTrainer}. */
export class Trainer<Table extends TensorTable = TensorTable> {
  /** What the program is. */
  readonly info: ProgramInfo;
  /** What runs it. */
  readonly engine: Engine;
  /** Every named tensor with shape, type and role. */
  readonly tensors: Table;
  /** Where the weights came from, where they came from files. */
  readonly weights: string | undefined;
  /** Seed of the data's order. */
  seed: number;
  /** Optimiser steps done, those before a resume included. */
  stepsDone = 0;
  /** Rows that the training loop has taken from its data. */
  position = 0;
  /** What else the training loop goes on from. */
  run: RunState = {};
  #busy: Promise<unknown> = Promise.resolve();

  /**
   * Wraps a filled program; {@linkcode loadTrainer} fills one.
   * @param engine A program whose tensors are filled
   * @param options Where the weights came from, and the data's seed
   */
  constructor(engine: Engine, options: TrainerOptions = {}) {
    this.engine = engine;
    this.info = engine.info;
    this.weights = options.weights;
    this.seed = options.seed ?? engine.info.seed;
    const entries = engine.info.tensors.map((tensor) => [tensor.name, tensor] as const);
    this.tensors = Object.freeze(Object.fromEntries(entries)) as Table;
  }

  /**
   * One optimiser step.
   * @param batches One micro-batch, or several whose gradients are summed to the mean over all their positions
   * @param options Learning rate, weight decay, clipping
   * @throws {PacacError} batch-invalid; training-diverged, and the parameters are of no use then
   */
  async step(batches: Batch | readonly Batch[], options: StepOptions = {}): Promise<StepResult> {
    const list = listOf(batches);
    const counts = checkStep(list, this.info);
    return { ...await this.exclusive(() => this.#step(list, options)), ...counts };
  }

  async #step(
    list: readonly Batch[],
    options: StepOptions,
  ): Promise<{ loss: number; gradNorm: number }> {
    const { optimizer, maxGradNorm } = this.info;
    const { loss, gradNorm } = await this.engine.step(list, {
      learningRate: options.learningRate ?? optimizer.learningRate,
      weightDecay: options.weightDecay ?? optimizer.weightDecay,
      maxGradNorm: options.maxGradNorm ?? maxGradNorm,
      step: this.stepsDone + 1,
    });
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      throw new PacacError(
        "training-diverged",
        `Cannot go on at step ${this.stepsDone + 1}: loss ${loss}, gradient norm ${gradNorm}`,
        { remedy: "go back to a checkpoint, and lower the learning rate or clip the gradients" },
      );
    }
    this.stepsDone++;
    return { loss, gradNorm };
  }

  /**
   * The loss of a micro-batch without training.
   * @param batch The micro-batch
   * @param options Whether logits are wanted
   * @throws {PacacError} batch-invalid
   */
  async evaluate(
    batch: Batch,
    options: { readonly logits?: boolean } = {},
  ): Promise<EvaluateResult> {
    const counts = checkBatch(batch, this.info);
    return await this.exclusive(async () => {
      const { loss: mean } = await this.engine.forward(batch);
      const loss = counts.supervised === 0 ? 0 : mean;
      if (options.logits !== true) return { loss, ...counts };
      return { loss, ...counts, logits: await this.#logits(batch) };
    });
  }

  /**
   * Gradients of every trained tensor, before clipping, without an update.
   * @param batches One micro-batch or several
   * @throws {PacacError} batch-invalid
   */
  async gradients(batches: Batch | readonly Batch[]): Promise<Map<string, Float32Array>> {
    const list = listOf(batches);
    checkStep(list, this.info);
    return await this.exclusive(async () => {
      await this.engine.gradients(list);
      const names = trainedTensors(this.info).map(({ name }) => name);
      return new Map(
        names.map((name) => [name, floats(this.engine.read(`${name}${GRADIENT_SUFFIX}`))]),
      );
    });
  }

  /**
   * Copies a tensor's values out.
   * @param name The tensor
   * @throws {PacacError} weights-mismatch, where there is no such tensor
   */
  read<Name extends keyof Table & string>(name: Name): Values<Table[Name]> {
    this.#known(name);
    return this.engine.read(name) as Values<Table[Name]>;
  }

  /**
   * Copies values into a tensor; new columns are checked.
   * @param name The tensor
   * @param values As many as it has
   * @throws {PacacError} weights-mismatch, adapter-invalid
   */
  write<Name extends keyof Table & string>(name: Name, values: Values<Table[Name]>): void {
    const { dtype, shape, role } = this.#known(name);
    const wanted = dtype === "i32" ? Int32Array : Float32Array;
    if (!(values instanceof wanted) || values.length !== elementsOf(shape)) {
      throw new PacacError("weights-mismatch", `Cannot write ${values.length} values`, {
        place: { field: name },
        remedy: `give a ${wanted.name} of [${shape}]`,
      });
    }
    if (role === "index") {
      const linear = this.info.adapted.find(({ indices }) => indices === name);
      if (linear !== undefined) checkColumns(values, linear);
    }
    this.engine.write(name, values);
    if (role === "index" || role === "weight") refreshAnchors(this.engine, name);
  }

  /**
   * Writes the adapter as a folder that other tools load.
   * @param dir The folder, made where it is not there
   * @param options peft 0.22's form, the paper's, or exact LoRA; what its README.md says
   * @throws {PacacError} io; usage, where the method is not paca
   */
  async saveAdapter(dir: string, options: SaveAdapterOptions = {}): Promise<void> {
    await this.exclusive(() => saveAdapter(this, dir, options));
  }

  /**
   * Writes the model with the training merged into its weights.
   * @param dir The folder, made where it is not there
   * @param options Element type
   * @throws {PacacError} io; usage, where it would overwrite its source
   */
  async saveMerged(dir: string, options: MergeOptions = {}): Promise<void> {
    await this.exclusive(() => saveMerged(this, dir, options));
  }

  /**
   * Writes all that a run needs to go on bit by bit as if it had not stopped.
   * @param dir The folder, made where it is not there
   * @param options How many checkpoints stay
   * @throws {PacacError} io
   */
  async saveCheckpoint(dir: string, options: SaveOptions = {}): Promise<void> {
    await this.exclusive(() => saveCheckpoint(this, dir, options));
  }

  /**
   * Goes back to a checkpoint of the same program.
   * @param dir The folder, for its newest; or the description of an older one in it, checkpoint-STEP.json
   * @throws {PacacError} checkpoint-invalid, io
   */
  async loadCheckpoint(dir: string): Promise<void> {
    await this.exclusive(() => loadCheckpoint(this, dir));
  }

  /**
   * The whole loop, as events.
   * @param options Data, steps, signal, where to save
   * @throws {PacacError} batch-invalid, training-diverged, io
   */
  train(options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
    return train(this, options);
  }

  /**
   * Runs work that needs several calls of the engine with none of others' in between.
   * @param work What to run
   */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#busy.then(work);
    this.#busy = result.catch(() => {});
    return result;
  }

  /** Frees the program's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.exclusive(() => Promise.resolve(this.engine.dispose()));
  }

  /** Logits of all positions of documents, as many rows at a time as the program computes in one go. */
  async #logits(batch: Batch): Promise<Float32Array> {
    const { vocabSize } = this.info;
    const logits = new Float32Array(batch.segmentIds.length * vocabSize);
    const rows = [...batch.segmentIds.keys()].filter((t) => batch.segmentIds[t] >= 0);
    const chunk = logitsRows(this.info);
    for (let at = 0; at < rows.length; at += chunk) {
      const some = rows.slice(at, at + chunk);
      const values = await this.engine.logits(Int32Array.from(some));
      some.forEach((row, i) =>
        logits.set(values.subarray(i * vocabSize, (i + 1) * vocabSize), row * vocabSize)
      );
    }
    return logits;
  }

  #known(name: string): TensorInfo {
    if (Object.hasOwn(this.tensors, name)) return this.tensors[name];
    throw new PacacError("weights-mismatch", `Cannot use the tensor "${name}": there is none`, {
      place: { field: name },
      remedy: "trainer.tensors has every name",
    });
  }
}

function listOf(batches: Batch | readonly Batch[]): readonly Batch[] {
  return "inputIds" in batches ? [batches] : batches;
}
