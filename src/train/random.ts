/**
 * Random numbers that depend on a seed, a name and a position alone, so that any of them can be had again
 * without the ones before it: a resumed run draws what the uninterrupted one would have drawn.
 *
 * The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Block b
 * of stream `name` under `seed` is philox(counter = [b mod 2^32, b div 2^32, h1, h2], key = [seed mod 2^32,
 * seed div 2^32]), where h1, h2 are two 32-bit FNV-1a hashes of the name in UTF-8. A block gives four words.
 * @module
 */
import { invariant } from "../errors.ts";

/** Four 32-bit words. */
export type Words = readonly [number, number, number, number];

const WORD = 0x1_0000_0000;
const ROUNDS = 10;
const [MULTIPLIER_0, MULTIPLIER_1] = [0xd2511f53, 0xcd9e8d57];
const [WEYL_0, WEYL_1] = [0x9e3779b9, 0xbb67ae85];

/**
 * Philox4x32-10: a bijection of the counter for each key.
 * @param counter Four words
 * @param key Two words
 */
export function philox(counter: Words, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0), low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2), low1 = Math.imul(MULTIPLIER_1, c2);
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** Upper 32 bits of a product of 32-bit words, by 16-bit halves: float64 holds no 64-bit product. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16, aLow = a & 0xffff, bHigh = b >>> 16, bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
}

function fnv1a(bytes: Uint8Array, basis: number): number {
  let hash = basis;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A sequence of random numbers that belongs to a seed and a name. */
export class Random {
  readonly #key: readonly [number, number];
  readonly #name: readonly [number, number];
  #block: Words = [0, 0, 0, 0];
  #position = 0;

  /**
   * Begins the sequence anew: the same seed and name give the same numbers.
   * @param seed A whole number from 0 to 2^53-1
   * @param name What the numbers are for
   */
  constructor(seed: number, name: string) {
    invariant(Number.isSafeInteger(seed) && seed >= 0, `seed ${seed} is no whole number from 0`);
    const bytes = new TextEncoder().encode(name);
    this.#key = [seed % WORD, Math.floor(seed / WORD)];
    this.#name = [fnv1a(bytes, 0x811c9dc5), fnv1a(bytes, 0x050c5d1f)];
  }

  /** The next word, 0 to 2^32-1. */
  word(): number {
    const lane = this.#position % 4;
    if (lane === 0) {
      const block = this.#position / 4;
      const counter = [block % WORD, Math.floor(block / WORD), ...this.#name] as const;
      this.#block = philox(counter, this.#key);
    }
    this.#position++;
    return this.#block[lane];
  }

  /** The next number in [0, 1), 32 bits of it. */
  uniform(): number {
    return this.word() / WORD;
  }

  /**
   * The next whole number in [0, bound), every one equally likely: words from the incomplete last range are redrawn.
   * @param bound From 1 to 2^32
   */
  below(bound: number): number {
    invariant(Number.isInteger(bound) && bound >= 1 && bound <= WORD, `bound ${bound}`);
    const whole = WORD - WORD % bound;
    for (;;) {
      const word = this.word();
      if (word < whole) return word % bound;
    }
  }

  /** Two independent standard normal numbers (Box and Muller 1958). */
  normals(): [number, number] {
    const radius = Math.sqrt(-2 * Math.log((this.word() + 0.5) / WORD));
    const angle = 2 * Math.PI * this.uniform();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }
}

/**
 * PaCA's columns of a linear: `rank` different ones of `inFeatures`, sorted, by the first `rank` steps of Fisher and Yates' shuffle.
 * @param seed The run's seed
 * @param module The linear's name, which makes its stream
 * @param options Columns there are, and columns wanted
 */
export function drawColumns(
  seed: number,
  module: string,
  { inFeatures, rank }: { readonly inFeatures: number; readonly rank: number },
): Int32Array {
  invariant(rank <= inFeatures, `cannot draw ${rank} of ${inFeatures} columns`);
  return shuffle(new Random(seed, `columns ${module}`), inFeatures).slice(0, rank).sort();
}

/**
 * The numbers 0 to length-1 in random order.
 * @param seed The run's seed
 * @param name What the order is for
 * @param length How many
 */
export function permutation(seed: number, name: string, length: number): Int32Array {
  return shuffle(new Random(seed, name), length);
}

function shuffle(random: Random, length: number): Int32Array {
  const order = Int32Array.from({ length }, (_, i) => i);
  for (let i = 0; i < length - 1; i++) {
    const j = i + random.below(length - i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Independent normal numbers with mean 0.
 * @param seed The run's seed
 * @param name What they are for
 * @param options How many, and their standard deviation
 */
export function drawNormals(
  seed: number,
  name: string,
  { length, deviation }: { readonly length: number; readonly deviation: number },
): Float32Array {
  const random = new Random(seed, `normal ${name}`);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const [a, b] = random.normals();
    values[i] = deviation * a;
    if (i + 1 < length) values[i + 1] = deviation * b;
  }
  return values;
}
