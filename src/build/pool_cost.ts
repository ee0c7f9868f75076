/**
 * Measures what the thread pool of compiled programs costs on this machine.
 * @module
 */
import { Bug } from "../errors.ts";
import { buildExecutable } from "./compile.ts";
import { NATIVE } from "./toolchain.ts";

/** The pool's cost in one situation. */
export interface PoolCost {
  /** free, pinned, crowded (twice as many threads as asked for) or busy (beside as many that compute without pause). */
  readonly situation: string;
  readonly threads: number;
  /** From the end of one kernel to the begin of the next: the median, in nanoseconds. */
  readonly regionNs: number;
  /** The 90th percentile. */
  readonly region90Ns: number;
  /** From the caller to the threads and back, once a step: the median, in microseconds. */
  readonly handOverUs: number;
}

/**
 * Builds and runs native/runtime/pool_cost.cpp.
 * @param threads How many
 * @throws {PacacError} toolchain-missing, build-failed, io
 */
export async function poolCost(threads: number): Promise<PoolCost[]> {
  const file = "runtime/pool_cost.cpp";
  const source = Deno.readTextFileSync(`${NATIVE}/${file}`);
  const program = await buildExecutable({ file: `native/${file}`, source }, { flags: [] });
  const { success, stdout } = await new Deno.Command(program, { args: [`${threads}`] }).output();
  if (!success) throw new Bug("pool_cost.cpp ended badly");
  return new TextDecoder().decode(stdout).trim().split("\n").map((line): PoolCost => {
    const [situation, ...numbers] = line.split(" ");
    const [count, regionNs, region90Ns, handOverUs] = numbers.map(Number);
    return { situation, threads: count, regionNs, region90Ns, handOverUs };
  });
}
