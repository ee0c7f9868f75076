/**
 * Made-up batches: the work of a step depends on where documents end and what is supervised, not on the tokens.
 * @module
 */
import type { Batch, ProgramInfo } from "../../train/mod.ts";

/** What a made-up batch is like. */
export interface Workload {
  /** Tokens of each document of a packed row; a row if not said. */
  readonly documentTokens?: number;
  /** Share of each document that is supervised, its end; all of it if not said. */
  readonly supervised?: number;
  /** Tokens of each row that belong to documents, the rest is padding; all if not said. */
  readonly filled?: number;
}

/**
 * Full rows of arbitrary tokens.
 * @param info The program
 * @param options Documents, supervised share; `number` tells batches apart
 */
export function madeUpBatch(
  info: ProgramInfo,
  options: Workload & { readonly number?: number } = {},
): Batch {
  const { documentTokens = info.seqLen, supervised = 1, number = 0 } = options;
  const { filled = info.seqLen } = options;
  const size = info.batch * info.seqLen;
  const inputIds = Int32Array.from(
    { length: size },
    (_, i) => (Math.imul(i + 1 + number * size, 2654435761) >>> 8) % info.vocabSize,
  );
  const inRow = (i: number) => i % info.seqLen;
  const answer = Math.round(documentTokens * (1 - supervised));
  return {
    inputIds,
    labels: inputIds.map((id, i) =>
      inRow(i) % documentTokens < answer || inRow(i) >= filled ? -100 : id
    ),
    segmentIds: inputIds.map((_, i) =>
      inRow(i) < filled ? Math.floor(inRow(i) / documentTokens) : -1
    ),
  };
}
