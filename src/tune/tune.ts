/**
 * Tunes a plan: its distinct calls one after another, those first on which a step spends most, each within its share of the time.
 *
 * What is found is written after every call, so that an interruption loses one call at most and the next run goes on behind it.
 * @module
 */
import { Cache } from "../build/cache.ts";
import { Renderer } from "../emit/render.ts";
import { must } from "../errors.ts";
import type { Plan } from "../targets/plan.ts";
import { machineAtStorage } from "../targets/roofline.ts";
import type { Machine, Tunables } from "../targets/target.ts";
import { isAllowed } from "./choose.ts";
import { type DistinctCall, distinctCalls, shapeText } from "./distinct.ts";
import { Database, type Entry, update } from "./database.ts";
import { callKey, KernelHashes, type Place, placeOf } from "./keys.ts";
import { NativeMeasurer } from "./measure.ts";
import { bestMachine } from "./peaks.ts";
import { buildRunner } from "./runner.ts";
import { type Outcome, search } from "./search.ts";
import { spaceOf, type SpaceOptions } from "./space.ts";
import { rankCorrelation } from "./statistics.ts";

/** What {@linkcode tune} takes beside the plan. */
export interface TuneOptions {
  /** The database's file. */
  readonly file: string;
  readonly seconds: number;
  readonly seed?: number;
  /** Which kernels, by name; all where it is not said. */
  readonly wanted?: (kernel: string) => boolean;
  /** Also what the database has already. */
  readonly again?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

/** What became of one distinct call. */
export interface TunedCall {
  readonly kernel: string;
  readonly op: string;
  /** `T2048 K576 O1536`, with what is fused behind it. */
  readonly shape: string;
  /** How often a step makes it. */
  readonly calls: number;
  /** `waiting`: the time was up before its turn, or before it came to an end. `failed`: the defaults themselves do not run here. */
  readonly state: "tuned" | "known" | "waiting" | "failed";
  readonly predictedSeconds: number;
  /** Of what was measured, now or before. */
  readonly measured?: {
    readonly values: Tunables;
    readonly gain: number;
    readonly defaultSeconds: number;
    readonly seconds: number;
    readonly flopsPerSecond: number;
    readonly peakShare: number;
  };
  /** Of a search that ran now. */
  readonly search?: {
    readonly candidates: number;
    readonly tried: number;
    readonly built: number;
    readonly dropped: readonly { readonly values: Tunables; readonly why: string }[];
    /** Between predicted and measured times of its candidates; null for fewer than two. */
    readonly rankCorrelation: number | null;
  };
}

/** What tuning came to. */
export interface TuneReport {
  readonly machine: Machine;
  readonly file: string;
  readonly calls: readonly TunedCall[];
  /** Time of a step with the defaults by its time with tuned values; what was not measured counts as predicted. */
  readonly stepGain: number;
  /** Share of the step's time, as just computed, that was measured. */
  readonly measuredShare: number;
  /** Between predicted and measured times of all candidates timed now; null for fewer than two. */
  readonly rankCorrelation: number | null;
  readonly stopped: boolean;
}

/** Scratch of a thread that tuning may always use; beyond it, no more than the plan has anyway. */
const FREE_SCRATCH = 8 << 20;
/** Values of other shapes that are tried first. */
const MOST_HINTS = 3;
/** A search that takes so many times its share, and some seconds, is given up: it is still to be done. */
const GRACE = { factor: 1.5, seconds: 15 } as const;
/** Seconds that a search needs to come to anything. */
const LEAST_SECONDS = 5;

/**
 * Tunes the calls of a plan on this machine.
 * @param plan A plan with the kernels' defaults
 * @param options Database, time limit, which kernels
 * @throws {PacacError} toolchain-missing, build-failed, io
 */
export async function tune(plan: Plan, options: TuneOptions): Promise<TuneReport> {
  const tuner = await Tuner.make(plan, options);
  try {
    return await tuner.run();
  } finally {
    tuner.dispose();
  }
}

/** A distinct call with all that is known of it. */
interface Job extends DistinctCall {
  readonly kernelHash: string;
}

interface Tools {
  readonly plan: Plan;
  readonly options: TuneOptions;
  readonly place: Place;
  readonly machine: Machine;
  readonly program: string;
  readonly folder: string;
}

class Tuner {
  readonly #tools: Tools;
  readonly #renderer = new Renderer();
  readonly #cache = new Cache();
  readonly #end: number;
  readonly #pairs: (readonly [number, number])[] = [];
  #stopped = false;

  private constructor(tools: Tools) {
    this.#tools = tools;
    this.#end = performance.now() + 1000 * tools.options.seconds;
  }

  static async make(plan: Plan, options: TuneOptions): Promise<Tuner> {
    const { signal, file, onProgress } = options;
    const { threads, target: { isa } } = plan;
    onProgress?.("building the runner");
    const program = await buildRunner(signal === undefined ? {} : { signal });
    const place = must(placeOf(isa, threads), "a compiler");
    const machine = await bestMachine(place, { file, isa });
    const folder = await Deno.makeTempDir({ prefix: "pacac-tune-" });
    return new Tuner({ plan, options, place, machine, program, folder });
  }

  dispose(): void {
    Deno.removeSync(this.#tools.folder, { recursive: true });
  }

  async run(): Promise<TuneReport> {
    const { options, machine } = this.#tools;
    const jobs = this.#jobs();
    const calls: TunedCall[] = [];
    for (const [i, job] of jobs.entries()) {
      calls.push(await this.#one(job, { number: i + 1, waiting: jobs.slice(i) }));
    }
    return {
      machine,
      file: options.file,
      calls,
      ...this.#stepGain(jobs, calls),
      rankCorrelation: correlation(this.#pairs),
      stopped: this.#stopped,
    };
  }

  #jobs(): Job[] {
    const { plan, options: { wanted }, machine } = this.#tools;
    const hashes = new KernelHashes();
    return distinctCalls(plan, { machine, ...(wanted === undefined ? {} : { wanted }) }).map(
      (one) => {
        const { name } = one.planned.kernel;
        return { ...one, kernelHash: must(hashes.of(name), `the template of ${name}`) };
      },
    );
  }

  async #one(
    job: Job,
    at: { readonly number: number; readonly waiting: readonly Job[] },
  ): Promise<TunedCall> {
    const { options, place } = this.#tools;
    const { kernel } = job.planned;
    const plain = this.#plain(job);
    const known = Database.read(options.file).find(place, {
      kernel: kernel.name,
      kernelHash: job.kernelHash,
      call: job.key,
    });
    if (known !== undefined && options.again !== true) {
      return { ...plain, state: "known", measured: this.#measured(known) };
    }
    const left = (this.#end - performance.now()) / 1000;
    if (this.#stopped || left < LEAST_SECONDS) return plain;
    const share = job.weight / at.waiting.reduce((sum, { weight }) => sum + weight, 0);
    const seconds = Math.min(left, Math.max(LEAST_SECONDS, left * share));
    // A slow machine must not hold up all that waits behind this call.
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), 1000 * (GRACE.factor * seconds + GRACE.seconds));
    const signals = options.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([limit.signal, ...signals]);
    try {
      return await this.#search(job, { ...at, seconds, plain, signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#stopped = options.signal?.aborted === true;
      return plain;
    } finally {
      clearTimeout(timer);
    }
  }

  #plain({ planned, calls, weight }: Job): TunedCall {
    return {
      kernel: planned.kernel.name,
      op: planned.call.node.op,
      shape: shapeText(planned),
      calls,
      state: "waiting",
      predictedSeconds: weight / calls,
    };
  }

  async #search(
    job: Job,
    { number, waiting, seconds, plain, signal }: {
      readonly number: number;
      readonly waiting: readonly Job[];
      readonly seconds: number;
      readonly plain: TunedCall;
      readonly signal: AbortSignal;
    },
  ): Promise<TunedCall> {
    const { options } = this.#tools;
    const { kernel, call } = job.planned;
    const space = spaceOf(kernel, call, this.#spaceOptions(job));
    const end = performance.now() + 1000 * seconds;
    let lap = performance.now();
    let longest = 0;
    const total = number - 1 + waiting.length;
    const label = `[${number}/${total}] ${plain.op} ${plain.shape}`;
    options.onProgress?.(`${label}: ${1 + space.others.length} candidates`);
    await using measurer = this.#measurer(job, signal);
    const outcome = await search(space, {
      measurer,
      seconds,
      // A batch is not begun where the last would not have ended in time.
      expired: () => performance.now() + longest > end,
      signal,
      onBatch: (outcome) => {
        longest = performance.now() - lap;
        lap = performance.now();
        options.onProgress?.(`${label}: ${describe(outcome)}, ${this.#left()} left`);
      },
    });
    signal.throwIfAborted();
    this.#pairs.push(...outcome.pairs);
    const found = {
      candidates: 1 + space.others.length,
      tried: outcome.tried,
      built: outcome.built,
      dropped: outcome.dropped.map(({ candidate, why }) => ({ values: candidate.values, why })),
      rankCorrelation: correlation(outcome.pairs),
    };
    if (!(outcome.defaultSeconds > 0)) return { ...plain, state: "failed", search: found };
    const { flops } = kernel.traffic(call, outcome.best.values);
    const entry = this.#entry(job, { outcome, flops });
    update(options.file, (database) => database.add(entry));
    const measured = this.#measured(entry);
    return { ...plain, state: "tuned", measured, search: found };
  }

  #spaceOptions(job: Job): SpaceOptions {
    const { plan, machine, options: { seed = 0 } } = this.#tools;
    const { perThread, shared } = job.planned.workspace;
    return {
      isa: plan.target.isa,
      machine,
      seed,
      allowed: {
        perThread: Math.max(perThread, plan.scratch.perThread, FREE_SCRATCH),
        shared: Math.max(shared, plan.scratch.shared),
      },
      hints: this.#hints(job),
    };
  }

  /** What won at this shape before, then what won for this kernel at others, the largest gains first. */
  #hints({ planned: { kernel, call }, kernelHash, key }: Job): Tunables[] {
    const { plan: { target: { isa } }, place, options } = this.#tools;
    return Database.read(options.file).entries
      .filter((entry) =>
        entry.kernelHash === kernelHash && entry.isa === place.isa && entry.gain > 1 &&
        isAllowed(entry.values, { kernel, call, isa })
      )
      .sort((a, b) => Number(b.call === key) - Number(a.call === key) || b.gain - a.gain)
      .slice(0, MOST_HINTS).map(({ values }) => values);
  }

  #measurer(job: Job, signal: AbortSignal): NativeMeasurer {
    const { plan, program, folder, options: { seed = 0 } } = this.#tools;
    return new NativeMeasurer(job.planned, {
      isa: plan.target.isa,
      threads: plan.threads,
      program,
      renderer: this.#renderer,
      cache: this.#cache,
      folder,
      seed,
      signal,
    });
  }

  #entry(
    job: Job,
    { outcome, flops }: { readonly outcome: Outcome; readonly flops: number },
  ): Entry {
    const seconds = outcome.defaultSeconds / outcome.gain;
    return {
      ...this.#tools.place,
      kernel: job.planned.kernel.name,
      kernelHash: job.kernelHash,
      call: job.key,
      values: { ...outcome.best.values },
      gain: outcome.gain,
      seconds,
      flopsPerSecond: flops / seconds,
      measured: new Date().toISOString(),
    };
  }

  #measured(entry: Entry): NonNullable<TunedCall["measured"]> {
    const { values, gain, seconds, flopsPerSecond } = entry;
    const { machine, plan } = this.#tools;
    const peakShare = flopsPerSecond / machineAtStorage(machine, plan.info.storage).flopsPerSecond;
    return { values, gain, seconds, defaultSeconds: gain * seconds, flopsPerSecond, peakShare };
  }

  /** The step's time before and after; calls that nobody measured are as long as predicted. */
  #stepGain(
    jobs: readonly Job[],
    calls: readonly TunedCall[],
  ): { stepGain: number; measuredShare: number } {
    const { plan, machine } = this.#tools;
    const found = new Map(jobs.map(({ key }, i) => [key, calls[i].measured]));
    let [before, after, measured] = [0, 0, 0];
    for (const { kernel, call, values, phase } of plan.calls) {
      if (phase === "logits") continue;
      const one = found.get(callKey(kernel, call, plan.target.isa));
      const predicted = kernel.predict(call, values, { isa: plan.target.isa, machine });
      before += one?.defaultSeconds ?? predicted;
      after += one?.seconds ?? predicted;
      measured += one?.defaultSeconds ?? 0;
    }
    return { stepGain: before / after, measuredShare: measured / before };
  }

  #left(): string {
    const seconds = Math.max(0, Math.round((this.#end - performance.now()) / 1000));
    return seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  }
}

function describe({ best, gain, tried, dropped }: Outcome): string {
  const values = Object.entries(best.values).map(([name, value]) => `${name} ${value}`).join(" ");
  const bad = dropped.length === 0 ? "" : `, ${dropped.length} dropped`;
  return `${tried} tried${bad}, best ${gain.toFixed(2)}x (${values})`;
}

/** JSON knows no NaN. */
function correlation(pairs: readonly (readonly [number, number])[]): number | null {
  const found = rankCorrelation(pairs);
  return Number.isNaN(found) ? null : found;
}
