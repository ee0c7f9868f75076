/**
 * The search for one call: batches of candidates, successive halving against the incumbent, a duel at the end.
 *
 * First comes what is predicted to be fast, then one tunable after another around the best so far, until none of them helps.
 *
 * It knows nothing of compilers and processes: a Measurer makes candidates ready and times them in turn. Every figure is a
 * ratio to the incumbent, timed in the same rounds, so that a machine that slows down slows both.
 * @module
 */
import { type Candidate, neighbours, type Space } from "./space.ts";
import { must } from "../errors.ts";
import { median } from "./statistics.ts";

/** Makes candidates ready to be timed, and times them. */
export interface Measurer {
  /**
   * Builds and checks candidates.
   * @returns For each: undefined where it is right, or why it is dropped
   */
  readonly prepare: (batch: readonly Candidate[]) => Promise<readonly (string | undefined)[]>;
  /**
   * Seconds by candidate and round. All are timed once in each round, in turn.
   * @returns An empty list for a candidate that had to be dropped
   */
  readonly time: (batch: readonly Candidate[], rounds: number) => Promise<readonly number[][]>;
}

/** What {@linkcode search} takes beside the space. */
export interface SearchOptions {
  readonly measurer: Measurer;
  /** Seconds for this call. */
  readonly seconds: number;
  /** Whether they are used up. */
  readonly expired: () => boolean;
  readonly signal?: AbortSignal;
  /** Called after each batch. */
  readonly onBatch?: (outcome: Outcome) => void;
}

/** What a search came to. */
export interface Outcome {
  readonly best: Candidate;
  /** The incumbent's time by the best's, from the final duel; 1 where the incumbent stays. */
  readonly gain: number;
  /** The incumbent's median time, in seconds. */
  readonly defaultSeconds: number;
  readonly tried: number;
  readonly built: number;
  /** Why candidates were dropped. */
  readonly dropped: readonly { readonly candidate: Candidate; readonly why: string }[];
  /** Predicted seconds and seconds measured, of each candidate timed. */
  readonly pairs: readonly (readonly [number, number])[];
}

/** Candidates that are built together: fewer where calls take long and there is little time. */
const BATCH = { least: 2, most: 8 } as const;
/** Runs that a candidate of a batch costs, in its check and in halving. */
const RUNS = 5;
/** Rounds of the first timing of calls that take at most so many seconds; survivors get twice as many the next time. */
const FIRST_ROUNDS = [[0.1, 4], [0.5, 2], [Infinity, 1]] as const;
/** A candidate so much slower than the best of its group is hopeless. */
const HOPELESS = 1.1;
/** Rounds of the duel: as many as its time allows, within bounds. */
const DUEL = { least: 5, most: 25, seconds: 5 } as const;
/** What a new winner must gain, and in how many of the duel's rounds it must be faster. */
const MARGIN = { gain: 1.015, wins: 0.75 } as const;

/**
 * Looks for values better than the defaults.
 * @param space The candidates
 * @param options Measurer, time limit
 */
export async function search(space: Space, options: SearchOptions): Promise<Outcome> {
  return await new Search(space, options).run();
}

class Search {
  readonly #space: Space;
  readonly #options: SearchOptions;
  readonly #tried = new Set<Candidate>();
  readonly #dropped: { candidate: Candidate; why: string }[] = [];
  readonly #pairs: [number, number][] = [];
  #best: Candidate;
  #gain = 1;
  #seconds = NaN;
  #built = 0;

  constructor(space: Space, options: SearchOptions) {
    this.#space = space;
    this.#options = options;
    this.#best = space.incumbent;
  }

  async run(): Promise<Outcome> {
    const { incumbent, others, kernel } = this.#space;
    // The first batch is built with the defaults, by which everything is judged: where they fail, nothing can be tuned.
    this.#tried.add(incumbent);
    const batch = this.#take(others);
    const right = await this.#prepare([incumbent, ...batch]);
    if (right.at(0) !== incumbent) return this.#outcome();
    const [times] = await this.#options.measurer.time([incumbent], 2);
    this.#seconds = median(times);
    this.#pairs.push([incumbent.predicted, this.#seconds]);
    await this.#compare(right.slice(1));
    const tunables = Object.keys(kernel.tunables);
    for (let i = 0, waited = 0; waited < tunables.length && this.#goesOn(); i++) {
      const tunable = must(tunables[i % tunables.length], "a tunable");
      waited = await this.#along(tunable) ? 0 : waited + 1;
    }
    await this.#duel();
    return this.#outcome();
  }

  /** Tries the values of one tunable with the others as they are in the best; says whether one of them is better. */
  async #along(tunable: string): Promise<boolean> {
    const line = neighbours(this.#space, this.#best, tunable);
    let better = false;
    for (let batch = this.#take(line); batch.length > 0; batch = this.#take(line)) {
      better = await this.#compare(await this.#prepare(batch)) || better;
      if (!this.#goesOn()) break;
    }
    return better;
  }

  #goesOn(): boolean {
    const { expired, signal } = this.#options;
    return signal?.aborted !== true && !expired();
  }

  #outcome(): Outcome {
    return {
      best: this.#best,
      gain: this.#gain,
      defaultSeconds: this.#seconds,
      tried: this.#tried.size - 1,
      built: this.#built,
      dropped: [...this.#dropped],
      pairs: [...this.#pairs],
    };
  }

  /** The next batch of those that were not tried. */
  #take(candidates: readonly Candidate[]): Candidate[] {
    const run = Math.max(this.#space.incumbent.predicted, this.#seconds || 0);
    const affordable = Math.floor(this.#options.seconds / 2 / (RUNS * run));
    const size = Math.min(BATCH.most, Math.max(BATCH.least, affordable));
    const batch = candidates.filter((one) => !this.#tried.has(one)).slice(0, size);
    batch.forEach((one) => this.#tried.add(one));
    return batch;
  }

  /** Builds and checks; gives those that are right. */
  async #prepare(batch: readonly Candidate[]): Promise<Candidate[]> {
    const verdicts = await this.#options.measurer.prepare(batch);
    const right = batch.filter((candidate, i) => {
      const why = verdicts[i];
      if (why !== undefined) this.#dropped.push({ candidate, why });
      return why === undefined;
    });
    this.#built += right.length;
    return right;
  }

  /** Times candidates against the best so far; says whether one of them takes its place. */
  async #compare(right: readonly Candidate[]): Promise<boolean> {
    const better = right.length > 0 && await this.#beats(right);
    this.#options.onBatch?.(this.#outcome());
    return better;
  }

  async #beats(right: readonly Candidate[]): Promise<boolean> {
    const before = this.#best;
    const group = before === this.#space.incumbent ? right : [before, ...right];
    const winner = await halve(group, {
      measurer: this.#options.measurer,
      incumbent: this.#space.incumbent,
      rounds: FIRST_ROUNDS.find(([seconds]) => this.#seconds <= seconds)?.[1] ?? 1,
      expired: this.#options.expired,
      onRatio: (one, ratio) => this.#pairs.push([one.predicted, ratio * this.#seconds]),
      onDrop: (candidate) => this.#dropped.push({ candidate, why: "crashed while it was timed" }),
    });
    if (winner === undefined || winner.candidate === before || !(winner.ratio < 1)) return false;
    const better = winner.ratio * this.#gain < 0.995;
    if (better) [this.#best, this.#gain] = [winner.candidate, 1 / winner.ratio];
    return better;
  }

  /** The last word: the best must win against the defaults in most rounds, and by more than noise. */
  async #duel(): Promise<void> {
    const { incumbent } = this.#space;
    if (this.#best === incumbent) return;
    const { measurer } = this.#options;
    const affordable = Math.floor(DUEL.seconds / (2 * this.#seconds));
    const rounds = Math.min(DUEL.most, Math.max(DUEL.least, affordable));
    const [before, after] = await measurer.time([incumbent, this.#best], rounds);
    const ratios = before.map((seconds, i) => seconds / after[i]);
    const gain = Math.min(median(ratios), Math.min(...before) / Math.min(...after));
    const wins = ratios.filter((ratio) => ratio > 1).length / ratios.length;
    if (gain >= MARGIN.gain && wins >= MARGIN.wins) {
      this.#gain = gain;
      this.#seconds = median(before);
    } else {
      this.#best = incumbent;
      this.#gain = 1;
    }
  }
}

/** What {@linkcode halve} takes beside the candidates. */
export interface HalveOptions {
  readonly measurer: Measurer;
  readonly incumbent: Candidate;
  /** Rounds of the first timing. */
  readonly rounds: number;
  /** Whether to be content with what is known; never where it is not said. */
  readonly expired?: () => boolean;
  /** Called with each candidate's first ratio. */
  readonly onRatio?: (candidate: Candidate, ratio: number) => void;
  /** Called with a candidate that could not be timed to the end. */
  readonly onDrop?: (candidate: Candidate) => void;
}

/**
 * Successive halving: all candidates get a few rounds, the better half of them twice as many, until one is left.
 * @param candidates At least one
 * @param options Measurer and incumbent
 * @returns The last one with its time by the incumbent's, or undefined where none could be timed
 */
export async function halve(
  candidates: readonly Candidate[],
  options: HalveOptions,
): Promise<{ candidate: Candidate; ratio: number } | undefined> {
  const { measurer, incumbent, onRatio, onDrop } = options;
  let group = candidates;
  for (let { rounds } = options;; rounds *= 2) {
    const [reference, ...times] = await measurer.time([incumbent, ...group], rounds);
    const ranked = group.flatMap((candidate, i) => {
      if (times[i].length === 0 || reference.length === 0) {
        onDrop?.(candidate);
        return [];
      }
      // Best against best: other processes can only make a round slower.
      const ratio = Math.min(...times[i]) / Math.min(...reference);
      if (rounds === options.rounds) onRatio?.(candidate, ratio);
      return [{ candidate, ratio }];
    }).sort((a, b) => a.ratio - b.ratio);
    if (ranked.length <= 1 || options.expired?.() === true) return ranked.at(0);
    const kept = ranked.slice(0, Math.ceil(ranked.length / 2))
      .filter(({ ratio }) => ratio <= HOPELESS * ranked[0].ratio);
    if (kept.length === 1) return kept[0];
    group = kept.map(({ candidate }) => candidate);
  }
}
