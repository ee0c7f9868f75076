/**
 * The order in which rows are trained on, as a function of position: nothing has to be remembered to resume.
 * @module
 */
import type { Batch } from "../engine.ts";
import { permutation } from "../random.ts";
import type { PackedData } from "./pack.ts";

/** Takes rows of packed data by position; each epoch has an order of its own. */
export class RowOrder {
  readonly #data: PackedData;
  readonly #seed: number;
  #epoch = -1;
  #order: Int32Array = new Int32Array(0);

  /**
   * Begins before the first epoch.
   * @param data The rows
   * @param seed Of the order
   */
  constructor(data: PackedData, seed: number) {
    this.#data = data;
    this.#seed = seed;
  }

  /**
   * The row at a position of the endless sequence of epochs.
   * @param position From 0
   */
  rowAt(position: number): number {
    const { rows } = this.#data;
    const epoch = Math.floor(position / rows);
    if (epoch !== this.#epoch) {
      this.#order = permutation(this.#seed, `epoch ${epoch}`, rows);
      this.#epoch = epoch;
    }
    return this.#order[position % rows];
  }

  /**
   * The micro-batch whose first row is at a position.
   * @param position From 0
   * @param batch Rows of it
   */
  batchAt(position: number, batch: number): Batch {
    return takeRows(this.#data, Array.from({ length: batch }, (_, i) => this.rowAt(position + i)));
  }
}

/**
 * A micro-batch of given rows; a row of -1 is padding.
 * @param data Packed rows
 * @param rows Which rows
 */
export function takeRows(data: PackedData, rows: readonly number[]): Batch {
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
