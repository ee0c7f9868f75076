/**
 * Figures of loaded data, to look at before a run.
 * @module
 */
import type { LoadedData } from "./load.ts";
import type { PackStats } from "./pack.ts";
import type { DocumentIndex } from "./token_store.ts";

/** Documents of about the same length. */
export interface LengthBin {
  /** Least length in tokens. */
  readonly from: number;
  /** One more than the greatest. */
  readonly to: number;
  /** How many documents there are. */
  readonly documents: number;
}

/** Figures of loaded data; lengths are those before documents are cut to a row. */
export interface DataSummary {
  /** Rows to train on. */
  readonly train: PackStats;
  /** Rows kept apart. */
  readonly validation?: PackStats;
  /** Documents whose ids and marks are those of an earlier one. */
  readonly duplicates: number;
  /** Shortest, median, 95th percentile, longest, in tokens. */
  readonly lengths: {
    readonly min: number;
    readonly median: number;
    readonly p95: number;
    readonly max: number;
  };
  /** About a dozen bins of equal width from the shortest to the longest. */
  readonly histogram: readonly LengthBin[];
}

const BINS = 12;

/**
 * Sums data up.
 * @param data Loaded data
 */
export function summarize({ train, validation, store }: LoadedData): DataSummary {
  const lengths = store.index.begins.slice(1).map((end, i) => end - store.index.begins[i]).sort();
  const at = (share: number) => lengths[Math.floor(share * (lengths.length - 1))];
  return {
    train: train.stats,
    ...(validation === undefined ? {} : { validation: validation.stats }),
    duplicates: duplicatesIn(store.index),
    lengths: { min: at(0), median: at(0.5), p95: at(0.95), max: at(1) },
    histogram: histogramOf(lengths),
  };
}

function histogramOf(sorted: Float64Array): LengthBin[] {
  const least = sorted[0], most = sorted[sorted.length - 1];
  const width = niceWidth((most - least + 1) / BINS);
  const first = Math.floor(least / width) * width;
  const bins = Array.from({ length: Math.floor((most - first) / width) + 1 }, () => 0);
  for (const length of sorted) bins[Math.floor((length - first) / width)]++;
  return bins.map((documents, i) => ({
    from: first + i * width,
    to: first + (i + 1) * width,
    documents,
  }));
}

/** The least of 1, 2, 5, 10, 20, … that is not below. */
function niceWidth(width: number): number {
  let power = 1;
  while (power * 10 < width) power *= 10;
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= width) ?? power * 10;
}

/** Equal hashes stand side by side when sorted; 53 of the 64 bits are compared. */
function duplicatesIn({ hashes }: DocumentIndex): number {
  const keys = new Float64Array(hashes.length / 2);
  for (let i = 0; i < keys.length; i++) {
    keys[i] = hashes[2 * i] * 2 ** 21 + (hashes[2 * i + 1] >>> 11);
  }
  keys.sort();
  let count = 0;
  for (let i = 1; i < keys.length; i++) if (keys[i] === keys[i - 1]) count++;
  return count;
}
