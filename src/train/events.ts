/**
 * What the training loop tells: plain data, the same as the lines that `--json` prints.
 * @module
 */
import type { OptimizerSettings } from "./engine.ts";
import type { RateSchedule } from "./schedule.ts";

/** The run begins, or goes on. */
export interface StartEvent {
  /** Which event this is. */
  readonly type: "start";
  /** Steps done before, 0 in a new run. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Rows of the training data. */
  readonly rows: number;
  /** Rows of a micro-batch. */
  readonly batch: number;
  /** Micro-batches a step. */
  readonly accumulate: number;
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Values that are trained. */
  readonly parameters: number;
  /** Which optimiser trains them. */
  readonly optimizer: OptimizerSettings["kind"];
  /** The learning rate's course, in steps. */
  readonly schedule: RateSchedule;
}

/** A step is done. */
export interface StepEvent {
  /** Which event this is. */
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Mean over supervised tokens, before the update. */
  readonly loss: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
  /** Rate of this step. */
  readonly learningRate: number;
  /** Tokens of documents in this step, padding not counted. */
  readonly tokens: number;
  /** Tokens that the loss is the mean over. */
  readonly supervised: number;
  /** Of this step, padding not counted. */
  readonly tokensPerSecond: number;
  /** Of this step. */
  readonly seconds: number;
  /** Memory of the process that is in use after it, mapped weights included. */
  readonly residentBytes: number;
}

/** The model went on from a prompt, before the run or after it. */
export interface SampleEvent {
  /** Which event this is. */
  readonly type: "sample";
  /** Steps done. */
  readonly step: number;
  /** Which prompt, from 0: the same before and after. */
  readonly sample: number;
  /** The prompt as text. */
  readonly prompt: string;
  /** How the data goes on, "" where that is not known. */
  readonly expected: string;
  /** What the model wrote. */
  readonly text: string;
}

/** The validation set was measured. */
export interface EvalEvent {
  /** Which event this is. */
  readonly type: "eval";
  /** Steps done. */
  readonly step: number;
  /** Mean over all its supervised tokens. */
  readonly loss: number;
  /** Tokens that the loss is the mean over. */
  readonly supervised: number;
}

/** A step came to no finite loss or gradient: it was undone, and its rows are passed over. */
export interface SkippedEvent {
  /** Which event this is. */
  readonly type: "skipped";
  /** Steps done, this one not counted. */
  readonly step: number;
  /** What went wrong. */
  readonly reason: string;
  /** Where the rows' documents are from, as FILE:LINE, or the numbers of the rows where that is not known. */
  readonly rows: readonly string[];
}

/** Evaluations no longer got better: the run ended early. */
export interface StoppedEvent {
  /** Which event this is. */
  readonly type: "stopped";
  /** Steps done. */
  readonly step: number;
  /** The lowest validation loss. */
  readonly loss: number;
  /** Steps done when it was measured. */
  readonly bestStep: number;
}

/** A checkpoint was written. */
export interface SavedEvent {
  /** Which event this is. */
  readonly type: "saved";
  /** Steps done. */
  readonly step: number;
  /** The checkpoint's folder. */
  readonly dir: string;
}

/** The run was asked to stop, and stopped after a whole step. */
export interface InterruptedEvent {
  /** Which event this is. */
  readonly type: "interrupted";
  /** Steps done. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
}

/** All steps are done. */
export interface DoneEvent {
  /** Which event this is. */
  readonly type: "done";
  /** Steps done. */
  readonly step: number;
  /** Of the last step. */
  readonly loss: number;
  /** Tokens of documents in this run, those before a resume not counted. */
  readonly tokens: number;
  /** Of this run, evaluations and checkpoints included. */
  readonly seconds: number;
  /** tokens / seconds. */
  readonly tokensPerSecond: number;
}

/** An event of the training loop. */
export type TrainEvent =
  | StartEvent
  | StepEvent
  | EvalEvent
  | SampleEvent
  | SkippedEvent
  | StoppedEvent
  | SavedEvent
  | InterruptedEvent
  | DoneEvent;
