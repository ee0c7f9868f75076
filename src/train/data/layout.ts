/**
 * Which documents share a row.
 *
 * Best fit decreasing: documents from the longest to the shortest, each into the fullest row that has room for it; within
 * 11/9 of the fewest rows possible (Johnson et al. 1974), and the same rows each time.
 * @module
 */

/**
 * How documents are laid into rows. `sequential` keeps their order: a new row begins where one does not fit; `padded` gives each
 * a row of its own.
 */
export const PACK_STRATEGIES = ["best-fit", "sequential", "padded"] as const;

/** One of {@linkcode PACK_STRATEGIES}. */
export type PackStrategy = typeof PACK_STRATEGIES[number];

/** Documents by rows. */
export interface Layout {
  /** Where each row's documents begin in `documents`, and the end of the last, [rows + 1]. */
  readonly begins: Int32Array;
  /** Numbers of documents, those of row 0 first. */
  readonly documents: Int32Array;
}

/**
 * Lays documents into rows.
 * @param lengths Tokens of each document, 1 to seqLen
 * @param options Tokens of a row, and how
 */
export function layOut(
  lengths: Int32Array,
  { seqLen, strategy }: { readonly seqLen: number; readonly strategy: PackStrategy },
): Layout {
  const rowOf = strategy === "best-fit" ? bestFit(lengths, seqLen) : inOrder(lengths, {
    seqLen,
    alone: strategy === "padded",
  });
  const rows = rowOf.reduce((most, row) => Math.max(most, row + 1), 0);
  const begins = new Int32Array(rows + 1);
  for (const row of rowOf) begins[row + 1]++;
  for (let row = 0; row < rows; row++) begins[row + 1] += begins[row];
  const at = begins.slice(0, rows);
  const documents = new Int32Array(rowOf.length);
  // In a row of the best fit the longest document is first, as it was laid.
  const order = strategy === "best-fit" ? byLength(lengths, seqLen) : undefined;
  for (let i = 0; i < rowOf.length; i++) {
    const document = order === undefined ? i : order[i];
    documents[at[rowOf[document]]++] = document;
  }
  return { begins, documents };
}

/** Numbers of documents from the longest to the shortest, equals in their order: a counting sort. */
function byLength(lengths: Int32Array, seqLen: number): Int32Array {
  const at = new Int32Array(seqLen + 2);
  for (const length of lengths) at[seqLen - length + 1]++;
  for (let i = 0; i <= seqLen; i++) at[i + 1] += at[i];
  const order = new Int32Array(lengths.length);
  for (let i = 0; i < lengths.length; i++) order[at[seqLen - lengths[i]]++] = i;
  return order;
}

function bestFit(lengths: Int32Array, seqLen: number): Int32Array {
  const rowOf = new Int32Array(lengths.length);
  const withRoom: number[][] = Array.from({ length: seqLen + 1 }, () => []); // rows by free tokens
  let rows = 0;
  for (const i of byLength(lengths, seqLen)) {
    let room = lengths[i];
    while (room < seqLen && withRoom[room].length === 0) room++;
    const row = withRoom[room].pop() ?? rows++;
    rowOf[i] = row;
    withRoom[room - lengths[i]].push(row);
  }
  return rowOf;
}

function inOrder(
  lengths: Int32Array,
  { seqLen, alone }: { readonly seqLen: number; readonly alone: boolean },
): Int32Array {
  const rowOf = new Int32Array(lengths.length);
  let row = -1, room = 0;
  for (let i = 0; i < lengths.length; i++) {
    if (alone || lengths[i] > room) {
      row++;
      room = seqLen;
    }
    rowOf[i] = row;
    room -= lengths[i];
  }
  return rowOf;
}
