/**
 * What the training loop tells: plain data, the same as the lines that `--json` prints.
 * @module
 */

/** The run begins, or goes on. */
export interface StartEvent {
  readonly type: "start";
  /** Steps done before, 0 in a new run. */
  readonly step: number;
  readonly steps: number;
  readonly rows: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly seqLen: number;
  /** Values that are trained. */
  readonly parameters: number;
}

/** A step is done. */
export interface StepEvent {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Tokens of documents in this step, padding not counted. */
  readonly tokens: number;
  /** Tokens that the loss is the mean over. */
  readonly supervised: number;
  readonly tokensPerSecond: number;
  /** Of this step. */
  readonly seconds: number;
}

/** The validation set was measured. */
export interface EvalEvent {
  readonly type: "eval";
  readonly step: number;
  /** Mean over all its supervised tokens. */
  readonly loss: number;
  readonly supervised: number;
}

/** A checkpoint was written. */
export interface SavedEvent {
  readonly type: "saved";
  readonly step: number;
  readonly dir: string;
}

/** The run was asked to stop, and stopped after a whole step. */
export interface InterruptedEvent {
  readonly type: "interrupted";
  readonly step: number;
  readonly steps: number;
}

/** All steps are done. */
export interface DoneEvent {
  readonly type: "done";
  readonly step: number;
  readonly loss: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

/** An event of the training loop. */
export type TrainEvent =
  | StartEvent
  | StepEvent
  | EvalEvent
  | SavedEvent
  | InterruptedEvent
  | DoneEvent;
