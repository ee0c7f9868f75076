/**
 * Packs documents into rows of equal length, several to a row, kept apart by segment ids.
 *
 * Best fit decreasing: documents from the longest to the shortest, each into the fullest row that has room for it; within
 * 11/9 of the fewest rows possible (Johnson et al. 1974), and the same rows each time.
 * @module
 */
import { invariant, PacacError } from "../../errors.ts";
import type { Document } from "./document.ts";

/** How documents are laid into rows. `sequential` keeps their order: a new row begins where one does not fit. */
export type PackStrategy = "best-fit" | "sequential";

/** What packing came to. */
export interface PackStats {
  /** Documents given. */
  readonly documents: number;
  /** Rows they came to. */
  readonly rows: number;
  /** Tokens of documents, padding not counted. */
  readonly tokens: number;
  /** Tokens that are predicted and trained on. */
  readonly supervised: number;
  /** supervised / tokens. */
  readonly supervisedShare: number;
  /** Documents cut at the end of a row. */
  readonly truncated: number;
  /** Documents left out, since nothing of them would be trained on. */
  readonly dropped: number;
  /** tokens / (rows · seqLen). */
  readonly efficiency: number;
}

/** Rows of tokens, [rows, seqLen] each, as {@linkcode Batch} describes them. */
export interface PackedData {
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Number of rows. */
  readonly rows: number;
  /** Token ids, [rows, seqLen]. */
  readonly inputIds: Int32Array;
  /** Ids to predict from the token before, [rows, seqLen]; -100 where there is none. */
  readonly labels: Int32Array;
  /** Number of the document within its row, [rows, seqLen]; -1 is padding. */
  readonly segmentIds: Int32Array;
  /** What packing came to. */
  readonly stats: PackStats;
}

/** What {@linkcode pack} takes beside documents. */
export interface PackOptions {
  /** Tokens of a row, 2 at least. */
  readonly seqLen: number;
  /** Default `best-fit`. */
  readonly strategy?: PackStrategy;
  /** What padding consists of; any valid id. */
  readonly padId?: number;
}

/**
 * Packs documents into rows. A document's first token is predicted from nothing, so its label is -100.
 * @param documents The documents
 * @param options Length of a row, strategy, padding
 * @throws {PacacError} data-invalid, where nothing is left to train on
 */
export function pack(documents: readonly Document[], options: PackOptions): PackedData {
  const { seqLen, strategy = "best-fit", padId = 0 } = options;
  invariant(Number.isInteger(seqLen) && seqLen >= 2, `seqLen ${seqLen}`);
  const kept = documents.filter((document) => supervisedWithin(document, seqLen) > 0);
  if (kept.length === 0) {
    throw new PacacError("data-invalid", "Cannot train: no document has a token to learn", {
      remedy: `check the data; answers must begin within the first ${seqLen} tokens`,
    });
  }
  const lengths = kept.map(({ ids }) => Math.min(ids.length, seqLen));
  const bins = strategy === "best-fit" ? bestFit(lengths, seqLen) : sequential(lengths, seqLen);
  const packed = fill(bins.map((bin) => bin.map((i) => kept[i])), { seqLen, padId });
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const supervised = kept.reduce((sum, document) => sum + supervisedWithin(document, seqLen), 0);
  const stats = {
    documents: documents.length,
    rows: bins.length,
    tokens,
    supervised,
    supervisedShare: supervised / tokens,
    truncated: kept.filter(({ ids }) => ids.length > seqLen).length,
    dropped: documents.length - kept.length,
    efficiency: tokens / (bins.length * seqLen),
  };
  return { seqLen, rows: bins.length, ...packed, stats };
}

/** Tokens of a document that are trained on when it is cut to a row. */
function supervisedWithin({ supervised }: Document, seqLen: number): number {
  let count = 0;
  for (let t = 1; t < Math.min(supervised.length, seqLen); t++) count += supervised[t];
  return count;
}

function bestFit(lengths: readonly number[], seqLen: number): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const bins: number[][] = [];
  const withRoom: number[][] = Array.from({ length: seqLen + 1 }, () => []); // bins by free tokens
  for (const i of order) {
    let room = lengths[i];
    while (room < seqLen && withRoom[room].length === 0) room++;
    const bin = withRoom[room].pop() ?? bins.push([]) - 1;
    bins[bin].push(i);
    withRoom[room - lengths[i]].push(bin);
  }
  return bins;
}

function sequential(lengths: readonly number[], seqLen: number): number[][] {
  const bins: number[][] = [];
  let room = 0;
  lengths.forEach((length, i) => {
    if (length > room) {
      bins.push([]);
      room = seqLen;
    }
    bins[bins.length - 1].push(i);
    room -= length;
  });
  return bins;
}

function fill(
  bins: readonly (readonly Document[])[],
  { seqLen, padId }: { readonly seqLen: number; readonly padId: number },
): Pick<PackedData, "inputIds" | "labels" | "segmentIds"> {
  const size = bins.length * seqLen;
  const inputIds = new Int32Array(size).fill(padId);
  const labels = new Int32Array(size).fill(-100);
  const segmentIds = new Int32Array(size).fill(-1);
  bins.forEach((bin, row) => {
    let at = row * seqLen;
    bin.forEach(({ ids, supervised }, segment) => {
      const length = Math.min(ids.length, seqLen);
      inputIds.set(ids.subarray(0, length), at);
      segmentIds.fill(segment, at, at + length);
      for (let t = 1; t < length; t++) if (supervised[t] === 1) labels[at + t] = ids[t];
      at += length;
    });
  });
  return { inputIds, labels, segmentIds };
}
