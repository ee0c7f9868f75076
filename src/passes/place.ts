/**
 * place: gives every tensor its bytes in one arena, from lifetimes; the peak is known before a byte is allocated.
 *
 * Needs: kernel calls in order. Gives: offsets, the arena's size, scratch for kernels. Tensors that outlive a step lie first; of
 * the others the largest is placed first, at the lowest offset that is free for its whole life. It stands last before verify_plan.
 * @module
 */
import { bytesOf, type Graph, type Tensor } from "../graph/graph.ts";
import type { Placement, PlannedCall } from "../targets/plan.ts";

/** Every offset is a multiple of this: a cache line. */
const ALIGN = 64;

/** When a tensor is alive, in indices of calls, both ends included. */
export interface Lifetime {
  readonly tensor: Tensor;
  readonly first: number;
  last: number;
}

interface Placed extends Lifetime {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Places all tensors of a plan.
 * @param graph The graph
 * @param calls Its kernel calls in order
 * @param threads Threads that need scratch
 */
export function place(graph: Graph, calls: readonly PlannedCall[], threads: number): Placement {
  const offsets = new Map<number, number>();
  let top = 0;
  const persistent = graph.tensors.filter((tensor) =>
    tensor.view === undefined && outlives(tensor)
  );
  for (const tensor of persistent) {
    offsets.set(tensor.id, top);
    top += padded(bytesOf(tensor));
  }
  const scratch = {
    perThread: padded(Math.max(0, ...calls.map(({ workspace }) => workspace.perThread))),
    shared: padded(Math.max(0, ...calls.map(({ workspace }) => workspace.shared))),
    offset: top,
  };
  top += scratch.perThread * threads + scratch.shared;

  const placed: Placed[] = [];
  let end = top;
  for (const lifetime of lifetimes(calls).toSorted(bySize)) {
    const bytes = padded(bytesOf(lifetime.tensor));
    const offset = lowestFree(placed, lifetime, { bytes, from: top });
    placed.push({ ...lifetime, offset, bytes });
    offsets.set(lifetime.tensor.id, offset);
    end = Math.max(end, offset + bytes);
  }
  for (const tensor of graph.tensors) {
    const base = tensor.view === undefined ? undefined : offsets.get(tensor.view.base.id);
    if (base !== undefined) offsets.set(tensor.id, base + (tensor.view?.offset ?? 0) * 4);
  }
  return {
    offsets,
    arenaBytes: end,
    scratch,
    peak: peakByKind({ persistent, placed, calls, arena: end, scratch: top - scratch.offset }),
    activations: activationsByCall(placed, calls),
  };
}

/** Sums of the bytes that begin and end at each call. */
function activationsByCall(
  placed: readonly Placed[],
  calls: readonly PlannedCall[],
): Placement["activations"] {
  const changes = calls.map(() => ({ kept: 0, passing: 0 }));
  for (const { bytes, ...lifetime } of placed) {
    const kind = isKept(lifetime, calls) ? "kept" : "passing";
    changes[lifetime.first][kind] += bytes;
    if (lifetime.last + 1 < calls.length) changes[lifetime.last + 1][kind] -= bytes;
  }
  let kept = 0, passing = 0;
  return changes.map((change) => ({
    kept: kept += change.kept,
    passing: passing += change.passing,
  }));
}

/** Whether backward reads it. */
function isKept({ first, last }: Lifetime, calls: readonly PlannedCall[]): boolean {
  return calls[first].phase === "forward" && calls[last].phase === "backward";
}

/** Whether a tensor keeps its value from step to step; logits are read right after their phase. */
function outlives(tensor: Tensor): boolean {
  return tensor.role !== "weight" && tensor.role !== "activation" && tensor.name !== "logits";
}

/**
 * Lifetimes of the tensors that live within a step, in order of first use.
 * @param calls Kernel calls in order
 */
function lifetimes(calls: readonly PlannedCall[]): Lifetime[] {
  const found = new Map<Tensor, Lifetime>();
  calls.forEach(({ call }, index) => {
    for (const { tensor } of call.operands) {
      if (tensor.role === "weight" || tensor.view !== undefined || outlives(tensor)) continue;
      const lifetime = found.get(tensor);
      if (lifetime === undefined) found.set(tensor, { tensor, first: index, last: index });
      else lifetime.last = index;
    }
  });
  return [...found.values()];
}

function bySize(a: Lifetime, b: Lifetime): number {
  return bytesOf(b.tensor) - bytesOf(a.tensor) || a.first - b.first || a.tensor.id - b.tensor.id;
}

function lowestFree(
  placed: readonly Placed[],
  { first, last }: Lifetime,
  { bytes, from }: { readonly bytes: number; readonly from: number },
): number {
  const rivals = placed.filter((other) => other.first <= last && first <= other.last)
    .toSorted((a, b) => a.offset - b.offset);
  let offset = from;
  for (const rival of rivals) {
    if (offset + bytes <= rival.offset) break;
    offset = Math.max(offset, rival.offset + rival.bytes);
  }
  return offset;
}

interface PeakOptions {
  readonly persistent: readonly Tensor[];
  readonly placed: readonly Placed[];
  readonly calls: readonly PlannedCall[];
  readonly arena: number;
  readonly scratch: number;
}

/** Bytes by role at the call where most are alive; `gaps` is what fragmentation costs. */
function peakByKind(
  { persistent, placed, calls, arena, scratch }: PeakOptions,
): Record<string, number> {
  const kinds: Record<string, number> = { scratch };
  for (const tensor of persistent) {
    kinds[tensor.role] = (kinds[tensor.role] ?? 0) + padded(bytesOf(tensor));
  }
  const alive = (call: number) => placed.filter(({ first, last }) => first <= call && call <= last);
  const size = (call: number) => alive(call).reduce((sum, { bytes }) => sum + bytes, 0);
  const moments = [...new Set(placed.map(({ first }) => first))];
  const sizes = moments.map(size);
  const widest = moments[sizes.indexOf(Math.max(...sizes))] ?? 0;
  for (const lifetime of alive(widest)) {
    const kind = isKept(lifetime, calls) ? "kept activations" : "passing activations";
    kinds[kind] = (kinds[kind] ?? 0) + lifetime.bytes;
  }
  kinds.gaps = arena - Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0);
  return kinds;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}
