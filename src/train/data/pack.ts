/**
 * Packs documents into rows of equal length, several to a row, kept apart by segment ids.
 * @module
 */
import { invariant, PacacError } from "../../errors.ts";
import type { Document } from "./document.ts";
import { layOut, type PackStrategy } from "./layout.ts";

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

/** Rows of equal length that documents are written into, [rows, seqLen] each. */
export interface RowArrays {
  readonly inputIds: Int32Array;
  readonly labels: Int32Array;
  readonly segmentIds: Int32Array;
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
  const tally = new Tally(seqLen);
  const kept = documents.filter((document) => tally.add(document));
  const lengths = Int32Array.from(kept, ({ ids }) => Math.min(ids.length, seqLen));
  const { begins, documents: order, places } = layOut(lengths, { seqLen, strategy });
  const rows = begins.length - 1;
  const arrays = emptyRows(rows * seqLen, padId);
  for (let row = 0; row < rows; row++) {
    const members = Array.from(order.subarray(begins[row], begins[row + 1]), (i) => kept[i]);
    writeRow(arrays, members, { row, seqLen, place: places[row] });
  }
  return { seqLen, rows, ...arrays, stats: tally.stats(rows) };
}

/** Counts documents as they are kept or dropped. */
export class Tally {
  readonly #seqLen: number;
  #documents = 0;
  #kept = 0;
  #tokens = 0;
  #supervised = 0;
  #truncated = 0;

  /** @param seqLen Tokens of a row */
  constructor(seqLen: number) {
    this.#seqLen = seqLen;
  }

  /**
   * Counts a document.
   * @param document Its ids and marks
   * @returns Whether it is kept: one token at least is trained on when it is cut to a row
   */
  add({ ids, supervised }: Document): boolean {
    this.#documents++;
    let learnt = 0;
    const end = Math.min(supervised.length, this.#seqLen);
    for (let t = 1; t < end; t++) learnt += supervised[t];
    if (learnt === 0) return false;
    this.#kept++;
    this.#tokens += end;
    this.#supervised += learnt;
    if (ids.length > this.#seqLen) this.#truncated++;
    return true;
  }

  /**
   * What it came to.
   * @param rows Rows that the kept documents were laid into
   * @throws {PacacError} data-invalid, where none was kept
   */
  stats(rows: number): PackStats {
    const tokens = this.#tokens, supervised = this.#supervised;
    if (this.#kept === 0) {
      throw new PacacError("data-invalid", "Cannot train: no document has a token to learn", {
        remedy: `check the data; answers must begin within the first ${this.#seqLen} tokens`,
      });
    }
    return {
      documents: this.#documents,
      rows,
      tokens,
      supervised,
      supervisedShare: supervised / tokens,
      truncated: this.#truncated,
      dropped: this.#documents - this.#kept,
      efficiency: tokens / (rows * this.#seqLen),
    };
  }
}

/**
 * Rows of padding.
 * @param size Tokens in all
 * @param padId What padding consists of
 */
export function emptyRows(size: number, padId: number): RowArrays {
  return {
    inputIds: new Int32Array(size).fill(padId),
    labels: new Int32Array(size).fill(-100),
    segmentIds: new Int32Array(size).fill(-1),
  };
}

/**
 * Writes documents into a row, each at a place of its own or one behind the other.
 * @param arrays Rows of padding
 * @param documents What goes into the row; each is cut to seqLen
 * @param options Which row, its tokens, and the tokens of a place where places are equal
 */
export function writeRow(
  { inputIds, labels, segmentIds }: RowArrays,
  documents: readonly Document[],
  { row, seqLen, place = 0 }: {
    readonly row: number;
    readonly seqLen: number;
    readonly place?: number;
  },
): void {
  let at = row * seqLen;
  documents.forEach(({ ids, supervised }, segment) => {
    const length = Math.min(ids.length, seqLen);
    inputIds.set(ids.subarray(0, length), at);
    segmentIds.fill(segment, at, at + length);
    for (let t = 1; t < length; t++) if (supervised[t] === 1) labels[at + t] = ids[t];
    at += Math.max(length, place);
  });
}
