/**
 * Checks batches before they reach native code, which trusts what it gets.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { Batch, ProgramInfo } from "./engine.ts";

/** Label of positions that are not trained on. */
export const IGNORED = -100;

/** How many positions of a batch count for what. */
export interface BatchCounts {
  /** Positions that belong to documents. */
  readonly tokens: number;
  /** Positions that are predicted, over which the loss is the mean. */
  readonly supervised: number;
}

/**
 * Checks a micro-batch and counts its positions.
 * @param batch The micro-batch
 * @param info The program that will get it
 * @throws {PacacError} batch-invalid
 */
export function checkBatch(batch: Batch, info: ProgramInfo): BatchCounts {
  for (const field of ["inputIds", "labels", "segmentIds"] as const) {
    checkLength(batch[field], field, info);
  }
  const { inputIds, labels, segmentIds } = batch;
  const { vocabSize, seqLen } = info;
  let tokens = 0, supervised = 0;
  for (let t = 0; t < inputIds.length; t++) {
    const id = inputIds[t], label = labels[t], segment = segmentIds[t];
    if (id < 0 || id >= vocabSize) refuse("inputIds", t, `${id} is no id below ${vocabSize}`);
    if (label !== IGNORED && (label < 0 || label >= vocabSize)) {
      refuse("labels", t, `${label} is neither -100 nor an id below ${vocabSize}`);
    }
    if (segment < -1) refuse("segmentIds", t, `${segment} is neither -1 nor a document's number`);
    if (segment < 0) continue;
    tokens++;
    const predicted = t % seqLen > 0 && segmentIds[t - 1] === segment;
    if (predicted && label !== IGNORED) supervised++;
  }
  return { tokens, supervised };
}

/**
 * Checks the micro-batches of a step, of which one position at least must be trained on.
 * @param batches The micro-batches
 * @param info The program that will get them
 * @throws {PacacError} batch-invalid
 */
export function checkStep(batches: readonly Batch[], info: ProgramInfo): BatchCounts {
  let tokens = 0, supervised = 0;
  for (const batch of batches) {
    const counts = checkBatch(batch, info);
    tokens += counts.tokens;
    supervised += counts.supervised;
  }
  if (supervised > 0) return { tokens, supervised };
  throw new PacacError("batch-invalid", "Cannot train on the batch: no position is trained on", {
    place: { field: "labels" },
    remedy: "give a label other than -100 to a token that is not the first of its document",
  });
}

function checkLength(values: unknown, field: string, { batch, seqLen }: ProgramInfo): void {
  const length = batch * seqLen;
  if (values instanceof Int32Array && values.length === length) return;
  const found = values instanceof Int32Array ? `${values.length} values` : "no Int32Array";
  throw new PacacError("batch-invalid", `Cannot use the batch: ${field} has ${found}`, {
    place: { field },
    remedy: `give an Int32Array of batch * seqLen = ${batch} * ${seqLen} = ${length} values`,
  });
}

function refuse(field: string, index: number, state: string): never {
  throw new PacacError("batch-invalid", `Cannot use the batch: ${state}`, {
    place: { field: `${field}[${index}]` },
    remedy: "check that the tokenizer belongs to the model",
  });
}

/**
 * A micro-batch of one text in row 0 and padding elsewhere, nothing trained on.
 * @param ids At most seqLen token ids
 * @param info The program
 */
export function textBatch(ids: ArrayLike<number>, info: ProgramInfo): Batch {
  const size = info.batch * info.seqLen;
  const inputIds = new Int32Array(size);
  inputIds.set(ids);
  const segmentIds = new Int32Array(size).fill(-1).fill(0, 0, ids.length);
  return { inputIds, labels: new Int32Array(size).fill(IGNORED), segmentIds };
}
