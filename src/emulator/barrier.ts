/**
 * Barriers of a block: `bar.sync`, `bar.arrive`, `bar.red` and their new names.
 * @module
 */
import type { Site } from "./operands.ts";
import { countBits } from "./ops/integer32.ts";
import type { Operand } from "./syntax.ts";
import type { Warp } from "./warp.ts";

/** A barrier instruction. */
export interface Barrier {
  /** Row with its number. */
  readonly id: number;
  /** Row with the threads that it waits for; −1 for all of the block. */
  readonly threads: number;
  /** Whether a warp waits, or only says that it was here. */
  readonly waits: boolean;
  /** `bar.red`: what the threads' predicates come to. */
  readonly reduction: Reduction | undefined;
}

interface Reduction {
  readonly operation: "popc" | "and" | "or";
  /** The predicate that each thread brings. */
  readonly condition: { readonly index: number; readonly flip: number };
  /** Row or predicate for the result. */
  readonly target: number;
}

/**
 * Decodes a barrier.
 * @param site `bar.sync a[, b]` and its like
 */
export function barrierOf(site: Site): Barrier {
  const operands = [...site.instruction.operands];
  const operation = (["popc", "and", "or"] as const).find((word) => site.has(word));
  let reduction: Reduction | undefined;
  if (site.has("red")) {
    if (operation === undefined) return site.fail("this reduction is not known");
    const [d, p] = [operands.shift(), operands.pop()];
    if (d === undefined || p === undefined) return site.fail("operands are missing");
    const target = operation === "popc" ? site.targetOf(d, 32) : site.predicate(d);
    reduction = { operation, condition: site.condition(p), target };
  } else if (!site.has("sync") && !site.has("arrive")) return site.fail("this form is not known");
  const [id, threads] = operands;
  if (id === undefined && site.instruction.name === "bar") {
    return site.fail("its number is missing");
  }
  const zero: Operand = { kind: "integer", value: 0n };
  return {
    id: site.sourceOf(id ?? zero, 32),
    threads: threads === undefined ? -1 : site.sourceOf(threads, 32),
    waits: !site.has("arrive"),
    reduction,
  };
}

/** A warp that came to a barrier and is not let go yet. */
interface Arrival {
  readonly warp: Warp;
  readonly waits: boolean;
  readonly pc: number;
  readonly reduction: Reduction | undefined;
}

/** A barrier's number and the warps at it. */
interface Meeting {
  readonly arrivals: Arrival[];
  /** Threads that are waited for; 0 for all. */
  threads: number;
}

/** The barriers of a block that runs. */
export class Barriers {
  readonly #meetings = new Map<number, Meeting>();

  /** Forgets all. */
  clear(): void {
    this.#meetings.clear();
  }

  /**
   * A warp comes to a barrier.
   * @param warp Who
   * @param barrier The instruction
   */
  arrive(warp: Warp, barrier: Barrier): void {
    const lane = 31 - Math.clz32(warp.mask & -warp.mask);
    const id = warp.i32[barrier.id + lane];
    const threads = barrier.threads < 0 ? 0 : warp.i32[barrier.threads + lane];
    const meeting = this.#meetings.get(id) ?? { arrivals: [], threads };
    this.#meetings.set(id, meeting);
    meeting.threads = threads;
    const { waits, reduction } = barrier;
    meeting.arrivals.push({ warp, waits, pc: warp.pc, reduction });
    if (waits) warp.barrier = id;
  }

  /**
   * Lets go the barriers that are complete.
   * @param live Warps that have not ended
   * @returns Whether any was
   */
  release(live: readonly Warp[]): boolean {
    let any = false;
    for (const [id, { arrivals, threads }] of this.#meetings) {
      const complete = threads > 0
        ? arrivals.length * 32 >= threads
        : live.every((warp) => arrivals.some((one) => one.warp === warp && one.waits));
      if (!complete) continue;
      this.#meetings.delete(id);
      letGo(arrivals);
      any = true;
    }
    return any;
  }
}

function letGo(arrivals: readonly Arrival[]): void {
  const warps = [...new Set(arrivals.map(({ warp }) => warp))];
  warps[0].block.checker?.barrier(warps);
  let [count, total] = [0, 0];
  for (const { warp, reduction } of arrivals) {
    if (reduction === undefined) continue;
    const { index, flip } = reduction.condition;
    count += countBits((warp.p[index] ^ flip) & warp.group);
    total += countBits(warp.group);
  }
  for (const { warp, waits, reduction } of arrivals) {
    if (waits) warp.barrier = -1;
    if (reduction !== undefined) give(warp, reduction, { count, total });
  }
}

function give(
  { i32, p, group }: Warp,
  { operation, target }: Reduction,
  { count, total }: { readonly count: number; readonly total: number },
): void {
  if (operation !== "popc") {
    const value = operation === "and" ? count === total : count > 0;
    p[target] = p[target] & ~group | (value ? group : 0);
    return;
  }
  for (let i = 0; i < 32; i++) if ((group >>> i & 1) !== 0) i32[target + i] = count;
}
