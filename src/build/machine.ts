/**
 * Measures the machine at hand once: the rates that predictions and shares of the peak refer to.
 * @module
 */
import { Bug, PacacError } from "../errors.ts";
import type { Isa, Machine } from "../targets/target.ts";
import { Cache, keyOf } from "./cache.ts";
import { buildExecutable } from "./compile.ts";
import { processorName } from "./processor.ts";
import { NATIVE } from "./toolchain.ts";

/** What {@linkcode machineOf} takes beside the instruction set. */
export interface MachineOptions {
  readonly threads?: number;
  readonly cache?: Cache;
  /** Measure again, whatever is remembered: shared machines change from minute to minute. The highest rates are remembered. */
  readonly fresh?: boolean;
}

/** Rates where nothing can be measured: an ordinary core of these years, by lanes. */
const ASSUMED = { flopsPerLane: 3e9 * 2 * 2, bytesPerSecond: 15e9 } as const;

/**
 * The machine's peak rates with an instruction set: measured once and then remembered by the processor's name.
 * @param isa The instruction set
 * @param options Threads (all processors where it is not said), cache
 * @returns `measured` is false where there is no compiler; the rates are guesses then
 */
export async function machineOf(isa: Isa, options: MachineOptions = {}): Promise<Machine> {
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const cache = options.cache ?? new Cache();
  const processor = processorName();
  const source = Deno.readTextFileSync(`${NATIVE}/cpu/peak.cpp`);
  const path = cache.path(keyOf("machine", processor, isa.name, String(threads), source), ".json");
  const known = options.fresh === true ? undefined : recall(path);
  const rates = known ?? await measure(source, { isa, threads, cache, path });
  if (rates !== undefined) return { processor, threads, ...rates, measured: true };
  const flopsPerSecond = ASSUMED.flopsPerLane * isa.lanes * threads;
  return {
    processor,
    threads,
    flopsPerSecond,
    bytesPerSecond: ASSUMED.bytesPerSecond,
    measured: false,
  };
}

type Rates = Pick<Machine, "flopsPerSecond" | "bytesPerSecond" | "pairFlopsPerSecond">;

/** Rates that are numbers; an instruction set that multiplies no pairs has no rate for them, or 0. */
function ratesOf(
  { flopsPerSecond, bytesPerSecond, pairFlopsPerSecond }: Partial<Rates>,
): Rates | undefined {
  if (!isRate(flopsPerSecond) || !isRate(bytesPerSecond)) return undefined;
  const pairs = isRate(pairFlopsPerSecond) ? { pairFlopsPerSecond } : {};
  return { flopsPerSecond, bytesPerSecond, ...pairs };
}

function recall(path: string): Rates | undefined {
  try {
    return ratesOf(JSON.parse(Deno.readTextFileSync(path)));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof SyntaxError)) throw error;
  }
  return undefined;
}

function isRate(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

async function measure(
  source: string,
  { isa, threads, cache, path }: {
    readonly isa: Isa;
    readonly threads: number;
    readonly cache: Cache;
    readonly path: string;
  },
): Promise<Rates | undefined> {
  let program: string;
  try {
    program = await buildExecutable({ file: "native/cpu/peak.cpp", source }, {
      flags: isa.flags,
      cache,
    });
  } catch (error) {
    if (error instanceof PacacError && error.code === "toolchain-missing") return undefined;
    throw error;
  }
  const { success, stdout } = await new Deno.Command(program, {
    args: [String(threads)],
    stderr: "null",
  }).output();
  // A processor without this instruction set can still compile for it.
  if (!success) return undefined;
  const [flopsPerSecond, bytesPerSecond, pairs] = new TextDecoder().decode(stdout).trim().split(" ")
    .map(Number);
  const rates = ratesOf({ flopsPerSecond, bytesPerSecond, pairFlopsPerSecond: pairs });
  if (rates === undefined) throw new Bug("peak.cpp printed no rates");
  const temporary = cache.temporary(path);
  Deno.writeTextFileSync(temporary, JSON.stringify(highest(rates, recall(path))));
  cache.publish(temporary, path);
  return rates;
}

/** What is remembered: other programs can only make a rate lower. */
function highest(now: Rates, before: Partial<Rates> = {}): Rates {
  const names = Object.keys(now) as (keyof Rates)[];
  const rates = names.map((name) => [name, Math.max(now[name] ?? 0, before[name] ?? 0)]);
  return Object.fromEntries(rates);
}
