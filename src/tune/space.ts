/**
 * The candidates of a call: all legal combinations of what its kernel declares, each distinct text once.
 *
 * Kernels cut sizes to the shape, so many combinations come to the same code: they are one candidate.
 * @module
 */
import { invariant, must } from "../errors.ts";
import type { Isa, Kernel, KernelCall, Machine, Tunables } from "../targets/target.ts";
import { shuffled } from "./statistics.ts";

/** Combinations that are looked at, at most; of a larger space a seeded sample. */
const LIMIT = 60_000;

/** One way to build a call. */
export interface Candidate {
  readonly values: Tunables;
  /** What the template is told, as text: equal for candidates that come to the same code. */
  readonly text: string;
  /** Seconds by the kernel's own prediction. */
  readonly predicted: number;
}

/** What {@linkcode spaceOf} takes beside the call. */
export interface SpaceOptions {
  readonly isa: Isa;
  readonly machine: Machine;
  readonly seed?: number;
  /** Bytes of scratch that a candidate may ask for. */
  readonly allowed?: { readonly perThread: number; readonly shared: number };
  /** Legal values that did well elsewhere: they stand before what is predicted to be fast. */
  readonly hints?: readonly Tunables[];
}

/** Candidates of a call: the default; the others by hints, then by predicted time. */
export interface Space {
  readonly kernel: Kernel;
  readonly incumbent: Candidate;
  readonly others: readonly Candidate[];
  /** The candidate with these values, which may stand under others that come to the same code; undefined where they are not allowed. */
  readonly find: (values: Tunables) => Candidate | undefined;
}

/**
 * The candidates of a call.
 * @param kernel The kernel
 * @param call The call
 * @param options Instruction set, machine, scratch that is allowed, hints
 */
export function spaceOf(kernel: Kernel, call: KernelCall, options: SpaceOptions): Space {
  const { isa, machine, seed = 0, allowed, hints = [] } = options;
  const candidate = (values: Tunables): Candidate => ({
    values,
    text: JSON.stringify(kernel.context(call, values, isa)),
    predicted: kernel.predict(call, values, { isa, machine }),
  });
  const incumbent = candidate(kernel.defaults(call, isa));
  const found = new Map([[incumbent.text, incumbent]]);
  const find = (values: Tunables): Candidate | undefined => {
    if (!kernel.legal(values, isa, call)) return undefined;
    const { perThread, shared } = kernel.workspace(call, values, isa);
    if (allowed !== undefined && (perThread > allowed.perThread || shared > allowed.shared)) {
      return undefined;
    }
    const one = candidate(values);
    const same = found.get(one.text);
    if (same === undefined) found.set(one.text, one);
    return same ?? one;
  };
  for (const values of combinations(kernel.tunables, seed)) find(values);
  const hinted = new Set(hints.map((values) => candidate(values).text));
  const rank = ({ text }: Candidate) => hinted.has(text) ? 0 : 1;
  const others = [...found.values()].slice(1)
    .sort((a, b) => rank(a) - rank(b) || a.predicted - b.predicted);
  return { kernel, incumbent, others, find };
}

/** Combinations of declared values, in a seeded order. */
function* combinations(tunables: Kernel["tunables"], seed: number): Generator<Tunables> {
  const entries = Object.entries(tunables);
  const total = entries.reduce((product, [, values]) => product * values.length, 1);
  invariant(Number.isSafeInteger(total), "a kernel's search space has too many combinations");
  if (entries.length === 0 || total === 0) return;
  let seen = 0;
  for (const index of shuffled(total, seed)) {
    if (seen++ >= LIMIT) return;
    let rest = index;
    yield Object.fromEntries(entries.map(([name, values]) => {
      const value = must(values[rest % values.length], `a value of ${name}`);
      rest = Math.floor(rest / values.length);
      return [name, value];
    }));
  }
}

/**
 * Candidates that differ from one in a single tunable, its nearest values first.
 * @param space The candidates
 * @param from The one
 * @param tunable Which tunable differs
 */
export function neighbours(space: Space, from: Candidate, tunable: string): Candidate[] {
  const values = space.kernel.tunables[tunable] ?? [];
  const at = values.indexOf(from.values[tunable]);
  const found = values.map((value, i) => ({ value, steps: Math.abs(i - at) }))
    .sort((a, b) => a.steps - b.steps)
    .flatMap(({ value }) => space.find({ ...from.values, [tunable]: value }) ?? []);
  return [...new Set(found)].filter((one) => one !== from);
}
