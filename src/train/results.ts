/**
 * What a trainer's calls take and give.
 * @module
 */

/** What a step can be told; the model description's settings where it is not. */
export interface StepOptions {
  /** Rate of this step. */
  readonly learningRate?: number;
  /** Decoupled decay, scaled by the learning rate. */
  readonly weightDecay?: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  readonly maxGradNorm?: number;
}

/** What a step came to. */
export interface StepResult {
  /** Mean over supervised positions, before the update. */
  readonly loss: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
  /** Positions of documents, padding not counted. */
  readonly tokens: number;
  /** Positions that the loss is the mean over. */
  readonly supervised: number;
}

/** What an evaluation came to. */
export interface EvaluateResult {
  /** Mean over supervised positions; 0 where there are none. */
  readonly loss: number;
  /** Positions of documents, padding not counted. */
  readonly tokens: number;
  /** Positions that the loss is the mean over. */
  readonly supervised: number;
  /** [batch, seqLen, vocab], zeros at padding; where asked for. */
  readonly logits?: Float32Array;
}
