/**
 * The few statistics that a tuner needs.
 * @module
 */

/**
 * The middle value; the mean of the middle two of an even number, NaN of none.
 * @param values In any order
 */
export function median(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Spearman's rank correlation: 1 where the orders agree, -1 where they are each other's reverse, NaN of fewer than two pairs.
 * @param pairs [x, y]
 */
export function rankCorrelation(pairs: readonly (readonly [number, number])[]): number {
  const x = ranks(pairs.map(([value]) => value));
  const y = ranks(pairs.map(([, value]) => value));
  // Ranks of n values have the mean (n - 1) / 2, equal ones included.
  const mean = (pairs.length - 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < pairs.length; i++) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) ** 2;
    yy += (y[i] - mean) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Ranks from 0; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const found = new Array<number>(values.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && order[end].value === order[first].value) end++;
    for (let j = first; j < end; j++) found[order[j].i] = (first + end - 1) / 2;
    first = end;
  }
  return found;
}

/**
 * A seeded order of 0 … count-1 that visits each once and needs no memory: steps of a stride that shares no factor with count.
 * @param count How many
 * @param seed Any whole number
 */
export function* shuffled(count: number, seed: number): Generator<number> {
  const start = mix(seed) % count;
  let stride = 1 + mix(seed + 1) % count;
  while (divisor(stride, count) !== 1) stride = stride % count + 1;
  for (let i = 0, at = start; i < count; i++, at = (at + stride) % count) yield at;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

/** 32 well-mixed bits of a whole number (the finaliser of MurmurHash3). */
function mix(value: number): number {
  let bits = (value ^ 0x9e3779b9) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
