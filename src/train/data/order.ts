/**
 * The order in which rows are trained on, as a function of position: nothing has to be remembered to resume.
 *
 * Where inputs have weights, an epoch takes a fixed number of rows of each: input i gives rows number e·t to (e+1)·t - 1 of its own
 * endless sequence of shuffles to epoch e, t being what an epoch takes of it. So all of a larger input is seen in time.
 * @module
 */
import type { Batch } from "../engine.ts";
import { permutation } from "../random.ts";
import type { PackedData } from "./pack.ts";
import { type MixPart, TokenRows } from "./token_rows.ts";

/** Rows to train on: in memory as a whole, or put together when they are wanted. */
export type TrainingData = PackedData | TokenRows;

/**
 * Rows that an epoch takes.
 * @param data The rows
 */
export function rowsOfEpoch(data: TrainingData): number {
  const mix = data instanceof TokenRows ? data.mix : undefined;
  return mix === undefined ? data.rows : mix.reduce((sum, { taken }) => sum + taken, 0);
}

/** Takes rows of packed data by position; each epoch has an order of its own. */
export class RowOrder {
  readonly #data: TrainingData;
  readonly #seed: number;
  readonly #rows: number;
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  /**
   * Begins before the first epoch.
   * @param data The rows
   * @param seed Of the order
   */
  constructor(data: TrainingData, seed: number) {
    this.#data = data;
    this.#seed = seed;
    this.#rows = rowsOfEpoch(data);
  }

  /**
   * The row at a position of the endless sequence of epochs.
   * @param position From 0
   */
  rowAt(position: number): number {
    const epoch = Math.floor(position / this.#rows);
    if (epoch !== this.#epoch) {
      this.#order = this.#orderOf(epoch);
      this.#epoch = epoch;
    }
    return this.#order[position % this.#rows];
  }

  /**
   * The micro-batch whose first row is at a position.
   * @param position From 0
   * @param batch Rows of it
   */
  batchAt(position: number, batch: number): Batch {
    return takeRows(this.#data, Array.from({ length: batch }, (_, i) => this.rowAt(position + i)));
  }

  #orderOf(epoch: number): Int32Array {
    const places = permutation(this.#seed, `epoch ${epoch}`, this.#rows);
    const mix = this.#data instanceof TokenRows ? this.#data.mix : undefined;
    if (mix === undefined) return places;
    const rows = mix.flatMap((part, i) => this.#rowsOf(part, { input: i, epoch }));
    return places.map((place) => rows[place]);
  }

  /** The rows that an epoch takes of an input; they may lie in two of the input's own passes. */
  #rowsOf(
    { first, rows, taken }: MixPart,
    { input, epoch }: { readonly input: number; readonly epoch: number },
  ): number[] {
    const shuffles = new Map<number, Int32Array>();
    return Array.from({ length: taken }, (_, j) => {
      const position = epoch * taken + j, pass = Math.floor(position / rows);
      const shuffle = shuffles.get(pass) ??
        permutation(this.#seed, `input ${input} pass ${pass}`, rows);
      shuffles.set(pass, shuffle);
      return first + shuffle[position % rows];
    });
  }
}

/**
 * A micro-batch of given rows; a row of -1 is padding.
 * @param data Packed rows
 * @param rows Which rows
 */
export function takeRows(data: TrainingData, rows: readonly number[]): Batch {
  if (data instanceof TokenRows) return data.take(rows);
  const { seqLen } = data;
  const take = (source: Int32Array, padding: number) => {
    const values = new Int32Array(rows.length * seqLen).fill(padding);
    rows.forEach((row, i) => {
      if (row < 0) return;
      values.set(source.subarray(row * seqLen, (row + 1) * seqLen), i * seqLen);
    });
    return values;
  };
  return {
    inputIds: take(data.inputIds, 0),
    labels: take(data.labels, -100),
    segmentIds: take(data.segmentIds, -1),
  };
}
