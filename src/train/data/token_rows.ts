/**
 * Rows of tokenised documents, put together when they are wanted.
 * @module
 */
import type { Place } from "../../errors.ts";
import type { Batch } from "../engine.ts";
import { type Layout, layOut, type PackStrategy } from "./layout.ts";
import { emptyRows, type PackStats, Tally, writeRow } from "./pack.ts";
import { originOf, type TokenStore } from "./token_store.ts";

/** Rows of one input, when inputs have weights. */
export interface MixPart {
  /** The first row. */
  readonly first: number;
  /** Rows that there are. */
  readonly rows: number;
  /** Rows that an epoch takes of them. */
  readonly taken: number;
}

/** What {@linkcode TokenRows} are made from. */
export interface TokenRowsOptions {
  /** Tokens of a row. */
  readonly seqLen: number;
  /** How documents are laid into rows. */
  readonly strategy: PackStrategy;
  /** What padding consists of. */
  readonly padId: number;
  /** Paths of files by number. */
  readonly files: readonly string[];
  /** Which documents are taken; all where it is not said. */
  readonly takes?: (document: number) => boolean;
  /** Weights of inputs, and the input that each file belongs to; no weight: all documents are laid together. */
  readonly mix?: { readonly weights: readonly number[]; readonly inputOf: readonly number[] };
}

/** Rows of documents. */
export class TokenRows {
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Number of rows. */
  readonly rows: number;
  /** What packing came to. */
  readonly stats: PackStats;
  /** One more than the highest id. */
  readonly idLimit: number;
  /** Where inputs have weights: rows by input. */
  readonly mix: readonly MixPart[] | undefined;
  readonly #store: TokenStore;
  readonly #padId: number;
  readonly #files: readonly string[];
  /** Documents by rows; numbers are those of the store. */
  readonly #layout: Layout;

  /**
   * Lays documents into rows.
   * @param store The documents
   * @param options Length of a row, strategy, padding, which documents
   * @throws {PacacError} data-invalid, where nothing is left to train on; io
   */
  constructor(store: TokenStore, options: TokenRowsOptions) {
    const { seqLen, mix } = options;
    this.seqLen = seqLen;
    this.#store = store;
    this.#padId = options.padId;
    this.#files = options.files;
    const { kept, tally, idLimit } = keptOf(store, options);
    const groups = mix === undefined
      ? [kept]
      : mix.weights.map((_, input) =>
        kept.filter((document) => mix.inputOf[store.index.files[document]] === input)
      );
    const layouts = groups.map((group) => layoutOf(store, group, options));
    const counts = layouts.map(({ begins }) => begins.length - 1);
    this.rows = counts.reduce((sum, rows) => sum + rows, 0);
    this.stats = tally.stats(this.rows);
    this.idLimit = Math.max(idLimit, options.padId + 1);
    this.#layout = joinLayouts(layouts);
    this.mix = mix === undefined ? undefined : partsOf(counts, mix.weights);
  }

  /**
   * A micro-batch of given rows; a row of -1 is padding.
   * @param rows Which rows
   * @throws {PacacError} io
   */
  take(rows: readonly number[]): Batch {
    const { seqLen } = this;
    const arrays = emptyRows(rows.length * seqLen, this.#padId);
    rows.forEach((row, i) => {
      const documents = row < 0 ? [] : this.documentsOf(row);
      const read = documents.map((document) => this.#store.read(document, seqLen));
      const place = row < 0 ? 0 : this.#layout.places[row];
      writeRow(arrays, read, { row: i, seqLen, place });
    });
    return arrays;
  }

  /**
   * Numbers of a row's documents.
   * @param row The row
   */
  documentsOf(row: number): number[] {
    const { begins, documents } = this.#layout;
    return [...documents.subarray(begins[row], begins[row + 1])];
  }

  /**
   * Where a row's documents are from: what to name when a batch goes wrong.
   * @param row The row
   */
  originsOf(row: number): Place[] {
    return this.documentsOf(row).map((one) => originOf(this.#store.index, one, this.#files));
  }
}

/** Documents with something to learn; each is read once. */
function keptOf(
  store: TokenStore,
  { seqLen, takes }: TokenRowsOptions,
): { kept: Int32Array; tally: Tally; idLimit: number } {
  const tally = new Tally(seqLen);
  const kept = new Int32Array(store.documents);
  let count = 0, idLimit = 0;
  for (let document = 0; document < store.documents; document++) {
    if (takes !== undefined && !takes(document)) continue;
    const { ids, supervised } = store.read(document, seqLen + 1);
    if (!tally.add({ ids, supervised })) continue;
    for (const id of ids) if (id >= idLimit) idLimit = id + 1;
    kept[count++] = document;
  }
  return { kept: kept.subarray(0, count), tally, idLimit };
}

/** A layout of some documents, by their numbers in the store. */
function layoutOf(store: TokenStore, group: Int32Array, options: TokenRowsOptions): Layout {
  const { seqLen } = options;
  const lengths = group.map((document) => Math.min(store.lengthOf(document), seqLen));
  const { begins, documents, places } = layOut(lengths, options);
  return { begins, documents: documents.map((i) => group[i]), places };
}

function joinLayouts(layouts: readonly Layout[]): Layout {
  if (layouts.length === 1) return layouts[0];
  const begins = [0], documents: number[] = [], places: number[] = [];
  for (const layout of layouts) {
    const offset = documents.length;
    for (const begin of layout.begins.subarray(1)) begins.push(offset + begin);
    for (const document of layout.documents) documents.push(document);
    for (const place of layout.places) places.push(place);
  }
  return {
    begins: Int32Array.from(begins),
    documents: Int32Array.from(documents),
    places: Int32Array.from(places),
  };
}

/**
 * Rows that an epoch takes of each input: as many as weights allow when none is taken twice, and one at least of an input that
 * has any.
 */
function partsOf(counts: readonly number[], weights: readonly number[]): MixPart[] {
  const scale = Math.min(
    ...counts.flatMap((rows, i) => rows === 0 ? [] : [rows / weights[i]]),
  );
  let first = 0;
  return counts.map((rows, i) => {
    const taken = Math.min(rows, Math.max(1, Math.floor(weights[i] * scale + 1e-9)));
    const part = { first, rows, taken };
    first += rows;
    return part;
  });
}
