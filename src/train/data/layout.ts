/**
 * Which documents share a row.
 *
 * Best fit decreasing: documents from the longest to the shortest, each into the fullest row that has room for it; within
 * 11/9 of the fewest rows possible (Johnson et al. 1974), and the same rows each time.
 *
 * Buckets: a row is cut into equal places, seqLen / 2^k tokens each, and a document is padded to the smallest place that holds it;
 * so a step has few lengths of document, as frameworks that pad have, and never pads to more than twice a document's length above
 * 16. Every row still has seqLen tokens: that is the program's shape.
 * @module
 */

/**
 * How documents are laid into rows. `sequential` keeps their order: a new row begins where one does not fit; `padded` gives each
 * a row of its own; `buckets` gives each half of a row, a quarter, and so on.
 */
export const PACK_STRATEGIES = ["best-fit", "sequential", "buckets", "padded"] as const;

/** Tokens of the smallest bucket. */
const LEAST_BUCKET = 16;

/** One of {@linkcode PACK_STRATEGIES}. */
export type PackStrategy = typeof PACK_STRATEGIES[number];

/** Documents by rows. */
export interface Layout {
  /** Where each row's documents begin in `documents`, and the end of the last, [rows + 1]. */
  readonly begins: Int32Array;
  /** Numbers of documents, those of row 0 first. */
  readonly documents: Int32Array;
  /** Tokens of each document's place in a row, [rows]; 0: one begins where the last ends. */
  readonly places: Int32Array;
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
  if (strategy === "buckets") return inBuckets(lengths, seqLen);
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
  return { begins, documents, places: new Int32Array(rows) };
}

/** Lengths that documents are padded to, from the longest: seqLen, and its halves as long as they are whole. */
function bucketsOf(seqLen: number): number[] {
  const buckets = [seqLen];
  for (let bucket = seqLen / 2; bucket >= LEAST_BUCKET && Number.isInteger(bucket); bucket /= 2) {
    buckets.push(bucket);
  }
  return buckets;
}

function inBuckets(lengths: Int32Array, seqLen: number): Layout {
  const buckets = bucketsOf(seqLen);
  const members: number[][] = buckets.map(() => []);
  lengths.forEach((length, document) => {
    members[buckets.findLastIndex((bucket) => length <= bucket)].push(document);
  });
  const begins = [0], places: number[] = [];
  for (const [i, bucket] of buckets.entries()) {
    for (let left = members[i].length; left > 0; left -= seqLen / bucket) {
      begins.push(begins[begins.length - 1] + Math.min(left, seqLen / bucket));
      places.push(bucket);
    }
  }
  return {
    begins: Int32Array.from(begins),
    documents: Int32Array.from(members.flat()),
    places: Int32Array.from(places),
  };
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
