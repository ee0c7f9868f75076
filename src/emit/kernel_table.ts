/**
 * The distinct kernels of a plan as the generated table has them: work, operands, and on a GPU the launches.
 * @module
 */
import { invariant, must } from "../errors.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import type { Launch } from "../targets/target.ts";

/** A kernel of the table. */
export interface KernelRow {
  /** Its function. */
  readonly symbol: string;
  /** Pointers that it takes. */
  readonly operands: number;
  /** Of one call: calls of the same text have the same shapes and types, so the same work. */
  readonly flops: number;
  readonly bytes: number;
  /** Bytes of device memory that the launches of a call share, the pointer behind the operands; 0: there is none. */
  readonly workspace: number;
  /** On a GPU: what one call launches, in order. */
  readonly launches: readonly Launch[];
}

/** What a launch cannot exceed on any part: blocks along y and z, threads of a block, shared memory of a block. */
const LIMITS = { side: 65_535, across: 2 ** 31 - 1, threads: 1024, shared: 227 * 1024 } as const;

/**
 * The table of a plan's kernels, in the order of their first calls.
 * @param plan The plan
 * @param symbolOf The kernel of each call
 */
export function kernelTable(
  plan: Plan,
  symbolOf: ReadonlyMap<PlannedCall, string>,
): KernelRow[] {
  const rows = new Map<string, KernelRow>();
  for (const planned of plan.calls) {
    const row = rowOf(planned, must(symbolOf.get(planned), "symbol"));
    const before = rows.get(row.symbol);
    // A kernel's text fixes its launches: a second call of it may not ask for others.
    const same = before === undefined || launchText(before) === launchText(row);
    invariant(same, `calls of ${row.symbol} differ in their launches`);
    rows.set(row.symbol, row);
  }
  return [...rows.values()];
}

function rowOf({ call, kernel, values, workspace }: PlannedCall, symbol: string): KernelRow {
  const { flops, bytes } = kernel.traffic(call, values);
  const launches = kernel.launches?.(call, values) ?? [];
  launches.forEach((launch) => checkLaunch(launch, symbol));
  return {
    symbol,
    operands: call.operands.length,
    flops,
    bytes,
    workspace: launches.length === 0 ? 0 : workspace.shared,
    launches,
  };
}

function launchText({ launches, workspace }: KernelRow): string {
  return JSON.stringify([launches, workspace]);
}

function checkLaunch({ entry, grid: [x, y, z], threads, shared }: Launch, symbol: string): void {
  const fits = x >= 1 && x <= LIMITS.across && Math.min(y, z) >= 1 &&
    Math.max(y, z) <= LIMITS.side && threads >= 1 && threads <= LIMITS.threads &&
    shared >= 0 && shared <= LIMITS.shared;
  invariant(fits, `${symbol}${entry} cannot be launched: [${x}, ${y}, ${z}] x ${threads}`);
}
