/**
 * Chooses the next token from logits: repetition penalty, temperature, top-k, top-p, min-p, in this order, and a draw.
 *
 * Only tokens that can be drawn are sorted: those within a widening gap below the best, until the filters are sure of what they keep.
 * @module
 */
import { PacacError } from "../errors.ts";
import { Random } from "./random.ts";

/** How tokens are chosen. */
export interface SamplingOptions {
  /** 0: always the most probable token; above 1 the improbable ones gain. Default 0. */
  readonly temperature?: number;
  /** Only so many of the most probable tokens; 0: all of them. Default 0. */
  readonly topK?: number;
  /** Only the fewest tokens that have this share of the probability. Default 1. */
  readonly topP?: number;
  /** Only tokens with this share of the most probable one's probability. Default 0. */
  readonly minP?: number;
  /** Logits of tokens that the text has already are divided by it, multiplied where negative (Keskar et al. 2019). Default 1. */
  readonly repetitionPenalty?: number;
  /** Of the draws. Default 0. */
  readonly seed?: number;
}

/** A token that can be drawn. */
export interface Candidate {
  /** The token. */
  readonly id: number;
  /** Share of all that can be drawn. */
  readonly probability: number;
}

/** Draws tokens; the n-th draw of a seed is always the same point of the distribution. */
export class Sampler {
  readonly #options: SamplingOptions;
  readonly #random: Random;

  /**
   * Begins the draws of a seed.
   * @param options Filters and seed
   */
  constructor(options: SamplingOptions = {}) {
    this.#options = options;
    this.#random = new Random(options.seed ?? 0, "generate");
  }

  /**
   * The next token.
   * @param logits [vocab]
   * @param text The tokens so far, for the repetition penalty
   * @throws {PacacError} weights-mismatch, where the logits are no numbers
   */
  next(logits: Float32Array, text: readonly number[]): number {
    const { temperature = 0 } = this.#options;
    if (temperature === 0) return best(penalised(logits, text, this.#options));
    const candidates = distribution(logits, text, this.#options);
    let left = this.#random.uniform();
    for (const { id, probability } of candidates) {
      left -= probability;
      if (left < 0) return id;
    }
    return candidates[candidates.length - 1].id;
  }
}

/**
 * The tokens that can be drawn. From the most to the least probable, ties by id; in the order of ids where nothing is filtered.
 * @param logits [vocab]
 * @param text The tokens so far, for the repetition penalty
 * @param options Filters; a temperature above 0
 * @throws {PacacError} weights-mismatch, where the logits are no numbers
 */
export function distribution(
  logits: Float32Array,
  text: readonly number[],
  options: SamplingOptions,
): Candidate[] {
  const { temperature = 1 } = options;
  const values = penalised(logits, text, options);
  const highest = values[best(values)];
  const weight = (id: number) => Math.exp((values[id] - highest) / temperature);
  const ids = filtered(values, { ...options, highest, weight });
  const weights = ids.map(weight);
  const total = weights.reduce((sum, each) => sum + each, 0);
  return ids.map((id, i) => ({ id, probability: weights[i] / total }));
}

interface Filters extends SamplingOptions {
  readonly highest: number;
  /** Probability of an id, times a constant: 1 for the best. */
  readonly weight: (id: number) => number;
}

function filtered(values: Float32Array, filters: Filters): number[] {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, highest, weight } = filters;
  if (topK === 0 && topP >= 1 && minP <= 0) return [...values.keys()];
  // The share that top-p is of: all tokens', unless top-k has taken some away.
  const all = topP < 1 && topK === 0 ? totalOf(values, weight) : undefined;
  for (let gap = 8;; gap = gap > 1000 ? Infinity : gap * 4) {
    const ids = within(values, highest - gap * temperature);
    const enough = topK > 0 && ids.length >= topK;
    const kept = topK > 0 ? ids.slice(0, topK) : ids;
    const share = all ?? kept.reduce((sum, id) => sum + weight(id), 0);
    const nucleus = topP < 1 ? fewest(kept, { wanted: topP * share, weight }) : undefined;
    const sure = gap === Infinity || enough || (all !== undefined && nucleus !== undefined) ||
      (topK === 0 && topP >= 1 && minP >= Math.exp(-gap));
    if (sure) return (nucleus ?? kept).filter((id) => weight(id) >= minP);
  }
}

function totalOf(values: Float32Array, weight: (id: number) => number): number {
  let total = 0;
  for (let id = 0; id < values.length; id++) total += weight(id);
  return total;
}

/** Ids with logits from `least`, the best first. */
function within(values: Float32Array, least: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < values.length; id++) if (values[id] >= least) ids.push(id);
  return ids.sort((a, b) => values[b] - values[a] || a - b);
}

/** The first ids whose weights reach `wanted`, undefined where all of them do not. */
function fewest(
  ids: readonly number[],
  { wanted, weight }: { readonly wanted: number; readonly weight: (id: number) => number },
): number[] | undefined {
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    sum += weight(ids[i]);
    if (sum >= wanted) return ids.slice(0, i + 1);
  }
  return undefined;
}

function penalised(
  logits: Float32Array,
  text: readonly number[],
  { repetitionPenalty = 1 }: SamplingOptions,
): Float32Array {
  if (repetitionPenalty === 1) return logits;
  const values = logits.slice();
  for (const id of new Set(text)) {
    values[id] = values[id] > 0 ? values[id] / repetitionPenalty : values[id] * repetitionPenalty;
  }
  return values;
}

/** The most probable id, the lowest of several. A NaN stays the best: nothing is above it. */
function best(values: Float32Array): number {
  let found = 0;
  for (let id = 1; id < values.length; id++) {
    if (values[id] > values[found] || Number.isNaN(values[id])) found = id;
  }
  if (Number.isFinite(values[found])) return found;
  throw new PacacError("weights-mismatch", "Cannot choose a token: the logits are no numbers", {
    remedy: "check the model's files and the adapter: one of them holds values that are no numbers",
  });
}
