/**
 * verify_plan: proves a placement by another algorithm than made it: the calls are played through over the arena's bytes.
 *
 * Needs: a finished plan. Gives: the certainty that every read finds all the bytes that its tensor's last write left, that
 * nothing lies over what outlives a step or over scratch, and that all of it lies within the arena.
 * @module
 */
import { invariant } from "../errors.ts";
import { bytesOf, type Graph, type Tensor } from "../graph/graph.ts";
import type { Placement, PlannedCall } from "../targets/plan.ts";

interface Interval {
  readonly begin: number;
  readonly end: number;
  readonly owner: Tensor | "scratch";
  readonly fixed: boolean;
}

/**
 * Checks a placement.
 * @param graph The graph
 * @param calls Kernel calls in order
 * @param placement What place made, for `threads` threads
 * @throws {Bug} With the first conflict
 */
export function verifyPlan(
  graph: Graph,
  calls: readonly PlannedCall[],
  placement: Placement & { readonly threads: number },
): void {
  const memory = new Memory(placement.arenaBytes);
  const { perThread, shared, offset } = placement.scratch;
  memory.fix("scratch", offset, perThread * placement.threads + shared);
  const at = (tensor: Tensor) => {
    const base = tensor.view?.base ?? tensor;
    const offset = placement.offsets.get(base.id);
    invariant(offset !== undefined, `${base.name} has no place`);
    return { owner: base, offset, bytes: bytesOf(base) };
  };
  const transient = (tensor: Tensor) => tensor.role === "activation" || tensor.name === "logits";
  for (const tensor of graph.tensors) {
    if (tensor.role === "weight" || tensor.view !== undefined || transient(tensor)) continue;
    const { owner, offset, bytes } = at(tensor);
    memory.fix(owner, offset, bytes);
  }
  for (const { call } of calls) {
    const operands = call.operands.filter(({ tensor }) => tensor.role !== "weight");
    for (const { tensor, written } of operands) {
      if (!written) memory.read(at(tensor), call.node.op);
    }
    for (const { tensor, written } of operands) if (written) memory.write(at(tensor), call.node.op);
    // What a call writes must not lie over what it reads.
    for (const { tensor } of operands) memory.read(at(tensor), call.node.op);
  }
}

interface Range {
  readonly owner: Tensor;
  readonly offset: number;
  readonly bytes: number;
}

class Memory {
  #intervals: Interval[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  fix(owner: Tensor | "scratch", begin: number, bytes: number): void {
    const name = owner === "scratch" ? owner : owner.name;
    const end = begin + bytes;
    invariant(begin >= 0 && end <= this.#size, `${name} lies outside the arena`);
    invariant(this.#overlapping(begin, end).length === 0, `${name} lies over something lasting`);
    this.#intervals.push({ begin, end, owner, fixed: true });
  }

  write({ owner, offset, bytes }: Range, op: string): void {
    const end = offset + bytes;
    invariant(offset >= 0 && end <= this.#size, `${owner.name} lies outside the arena`);
    const before = this.#overlapping(offset, end);
    if (before.some((interval) => interval.owner === owner)) return;
    const lasting = before.find(({ fixed }) => fixed);
    invariant(lasting === undefined, `${op} writes ${owner.name} over something lasting`);
    this.#intervals = this.#intervals.filter((interval) => !before.includes(interval));
    this.#intervals.push({ begin: offset, end, owner, fixed: false });
  }

  read({ owner, offset, bytes }: Range, op: string): void {
    const found = this.#overlapping(offset, offset + bytes);
    invariant(
      found.length === 1 && found[0].owner === owner && found[0].begin === offset,
      `${op} reads ${owner.name}, whose bytes were written over or never written`,
    );
  }

  #overlapping(begin: number, end: number): Interval[] {
    return this.#intervals.filter((interval) => interval.begin < end && begin < interval.end);
  }
}
