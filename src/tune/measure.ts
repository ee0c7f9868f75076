/**
 * Makes candidates ready on this machine: rendered, compiled in batches, loaded into the runner's process, checked against the
 * defaults, and timed there. A candidate that is wrong, crashes or does not compile is dropped; the tuner goes on.
 * @module
 */
import { compileAll } from "../build/compile.ts";
import { linkLibrary } from "../build/library.ts";
import type { Cache } from "../build/cache.ts";
import { type KernelSource, renderKernels } from "../emit/kernel_source.ts";
import type { Renderer } from "../emit/render.ts";
import { invariant, must, PacacError } from "../errors.ts";
import type { Isa } from "../targets/target.ts";
import type { PlannedCall } from "../targets/plan.ts";
import { orderOf } from "./inputs.ts";
import { Crash, Runner } from "./runner.ts";
import type { Measurer } from "./search.ts";
import type { Candidate } from "./space.ts";

/** What {@linkcode NativeMeasurer} takes beside the call. */
export interface MeasureOptions {
  readonly isa: Isa;
  readonly threads: number;
  /** Program of the runner. */
  readonly program: string;
  readonly renderer: Renderer;
  readonly cache: Cache;
  /** Folder for shared objects. */
  readonly folder: string;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Largest error of an element, in units of its expected value plus the operand's rms. Sums of float32 in another order differ
 * by some 1e-6; a bf16 that falls to the other side of a tie differs by half of its 8 bits; sums of products of such bf16 by less.
 */
const TOLERANCE = { f32: 1e-3, pairs: 4e-3, bf16: 1.6e-2 } as const;
/** One figure is a mean over so long. */
const MICROSECONDS = 3000;

interface Built {
  readonly candidate: Candidate;
  readonly symbol: string;
  readonly object: string;
  readonly workspace: PlannedCall["workspace"];
}

interface Library {
  readonly path: string;
  readonly workspaces: readonly PlannedCall["workspace"][];
}

/** Measures candidates of one call. The first candidate that is prepared is the incumbent. */
export class NativeMeasurer implements Measurer, AsyncDisposable {
  readonly #planned: PlannedCall;
  readonly #options: MeasureOptions;
  /** Rows in the runner's table, of candidates that have not been dropped. */
  readonly #ids = new Map<Candidate, number>();
  /** What every runner is shown, in order. */
  readonly #libraries: Library[] = [];
  readonly #tolerance: number;
  #runner: Runner | undefined;
  #incumbent: Candidate | undefined;
  #next = 0;

  /**
   * @param planned The call
   * @param options Tools
   */
  constructor(planned: PlannedCall, options: MeasureOptions) {
    this.#planned = planned;
    this.#options = options;
    const stored = planned.call.operands.filter(({ tensor }) => tensor.dtype === "bf16");
    const rounds = options.isa.pairs > 0 && stored.length > 0;
    this.#tolerance = TOLERANCE[
      stored.some(({ written }) => written) ? "bf16" : rounds ? "pairs" : "f32"
    ];
  }

  /** {@inheritDoc Measurer.prepare} Nothing is judged where the incumbent does not run. */
  async prepare(batch: readonly Candidate[]): Promise<(string | undefined)[]> {
    const built = await this.#build(batch);
    const incumbent = this.#incumbent ??= batch.at(0);
    await this.#load(built);
    const why = new Map<Candidate, string>();
    for (const { candidate } of built) {
      if (incumbent === undefined || !this.#ids.has(incumbent)) break;
      const fault = await this.#check(candidate);
      if (fault === undefined) continue;
      why.set(candidate, fault);
      this.#ids.delete(candidate);
    }
    const compiled = new Set(built.map(({ candidate }) => candidate));
    return batch.map((one) => compiled.has(one) ? why.get(one) : "does not compile");
  }

  /** {@inheritDoc Measurer.time} */
  async time(batch: readonly Candidate[], rounds: number): Promise<number[][]> {
    const group = batch.filter((one) => this.#ids.has(one));
    const times = new Map(group.map((one): [Candidate, number[]] => [one, []]));
    try {
      const ids = group.map((one) => this.#idOf(one));
      const runner = await this.#ready();
      const figures = (await runner.ask(`time ${rounds} ${MICROSECONDS} ${ids.join(" ")}`))
        .slice(1).map(Number);
      invariant(figures.length === rounds * ids.length, "the tuner's runner lost figures");
      figures.forEach((seconds, i) => times.get(group[i % group.length])?.push(seconds));
    } catch (error) {
      await this.#afterCrash(error);
      if (group.length > 2) return await this.#timeApart(batch, rounds);
      // With the incumbent alone beside it, the fault is the candidate's.
      group.filter((one) => one !== this.#incumbent).forEach((one) => this.#ids.delete(one));
    }
    return batch.map((one) => times.get(one) ?? []);
  }

  /** Each candidate against the incumbent alone, to find the one that crashes. */
  async #timeApart(batch: readonly Candidate[], rounds: number): Promise<number[][]> {
    const incumbent = must(this.#incumbent, "the incumbent");
    const times: number[][] = [];
    for (const one of batch) {
      const pair = one === incumbent ? [one] : [incumbent, one];
      times.push(must((await this.time(pair, rounds)).at(-1), "times"));
    }
    return times;
  }

  /** Renders and compiles; what does not compile is left out. */
  async #build(batch: readonly Candidate[]): Promise<Built[]> {
    const { kernel, call } = this.#planned;
    const { isa, renderer, cache } = this.#options;
    const plans = batch.map((candidate): PlannedCall => ({
      ...this.#planned,
      values: candidate.values,
      workspace: kernel.workspace(call, candidate.values, isa),
    }));
    const rendering = { isa, renderer, target: "cpu", memo: cache };
    const { sources, symbolOf } = renderKernels(plans, rendering);
    const objects = await this.#compile(sources);
    return batch.flatMap((candidate, i) => {
      const symbol = must(symbolOf.get(plans[i]), "a candidate's symbol");
      const object = objects.get(symbol);
      return object === undefined
        ? []
        : [{ candidate, symbol, object, workspace: plans[i].workspace }];
    });
  }

  /** Object files by symbol. One that does not compile does not take the others with it. */
  async #compile(sources: readonly KernelSource[]): Promise<Map<string, string>> {
    const { isa, cache, signal } = this.#options;
    const options = { flags: isa.flags, cache, ...(signal === undefined ? {} : { signal }) };
    const objects = new Map<string, string>();
    const keep = async (some: readonly KernelSource[]) => {
      const made = await compileAll(some, options);
      some.forEach(({ symbol }, i) => objects.set(symbol, made.objects[i]));
    };
    try {
      await keep(sources);
    } catch (error) {
      if (!refused(error)) throw error;
      for (const source of sources) {
        await keep([source]).catch((one: unknown) => {
          if (!refused(one)) throw one;
        });
      }
    }
    return objects;
  }

  /** Links a batch and shows it to the runner, if there is one; a later one is shown all batches. */
  async #load(built: readonly Built[]): Promise<void> {
    if (built.length === 0) return;
    const { cache, folder, signal } = this.#options;
    const source = tableOf(built.map(({ symbol }) => symbol));
    const table = await compileAll([{ file: "candidates.cpp", source }], { flags: [], cache });
    const path = `${folder}/candidates-${this.#libraries.length}-${crypto.randomUUID()}.so`;
    await linkLibrary([...built.map(({ object }) => object), ...table.objects], { path, signal });
    for (const { candidate } of built) this.#ids.set(candidate, this.#next++);
    const library = { path, workspaces: built.map(({ workspace }) => workspace) };
    this.#libraries.push(library);
    if (this.#runner !== undefined) await show(this.#runner, library);
  }

  /** Why a candidate is dropped; undefined where its results are the incumbent's. */
  async #check(candidate: Candidate): Promise<string | undefined> {
    try {
      const runner = await this.#ready();
      const [kind, error] = await runner.ask(`check ${this.#idOf(candidate)}`);
      if (kind === "guard") return "writes beyond an operand";
      // NaN fails.
      return Number(error) <= this.#tolerance ? undefined : `results are off by ${error}`;
    } catch (error) {
      return await this.#afterCrash(error);
    }
  }

  #idOf(candidate: Candidate): number {
    return must(this.#ids.get(candidate), "a candidate that is loaded");
  }

  /** A runner that has the operands, all candidates and the incumbent's results. */
  async #ready(): Promise<Runner> {
    if (this.#runner !== undefined) return this.#runner;
    const { program, threads, seed, signal } = this.#options;
    signal?.throwIfAborted();
    const runner = this.#runner = new Runner(program, { threads, signal });
    await runner.ask(...orderOf(this.#planned.call, seed));
    for (const library of this.#libraries) await show(runner, library);
    await runner.ask(`reference ${this.#idOf(must(this.#incumbent, "the incumbent"))}`);
    return runner;
  }

  /** What a crash says; any other error goes on. */
  async #afterCrash(error: unknown): Promise<string> {
    await this[Symbol.asyncDispose]();
    this.#options.signal?.throwIfAborted();
    if (error instanceof Crash) return error.message;
    throw error;
  }

  /** Ends the runner. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runner?.[Symbol.asyncDispose]();
    this.#runner = undefined;
  }
}

async function show(runner: Runner, { path, workspaces }: Library): Promise<void> {
  const lines = workspaces.map(({ perThread, shared }) => `${perThread} ${shared}`);
  await runner.ask(`load ${lines.length} ${path}`, ...lines);
}

function refused(error: unknown): boolean {
  return error instanceof PacacError && error.code === "build-failed";
}

/** The one name that is seen from outside a shared object. */
function tableOf(symbols: readonly string[]): string {
  return [
    '#include "runtime/kernel.hpp"',
    "namespace pacac {",
    ...symbols.map((symbol) => `void ${symbol}(void* const*, const Worker&);`),
    "}",
    'extern "C" {',
    '__attribute__((visibility("default"))) extern const pacac::Kernel pacac_candidates[];',
    "const pacac::Kernel pacac_candidates[] = {",
    ...symbols.map((symbol) => `  pacac::${symbol},`),
    "};",
    "}",
    "",
  ].join("\n");
}
