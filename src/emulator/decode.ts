/**
 * From an entry to steps that the scheduler runs: one function for each instruction. What is not in the table of families is
 * a hard error.
 * @module
 */
import type { Execute } from "./lanes.ts";
import { Layout, Site } from "./operands.ts";
import { ARITHMETIC } from "./ops/arithmetic.ts";
import { ATOMICS } from "./ops/atomic.ts";
import { COMPARE } from "./ops/compare.ts";
import { CONVERT } from "./ops/convert.ts";
import { ASYNC_COPIES } from "./ops/cp_async.ts";
import type { Family } from "./ops/decoder.ts";
import { MATRIX } from "./ops/matrix.ts";
import { MEMORY } from "./ops/memory.ts";
import { WARP } from "./ops/warp.ts";
import { type Barrier, barrierOf } from "./barrier.ts";
import { isSpecial } from "./specials.ts";
import { type Entry, type Instruction, type Operand, ptxError } from "./syntax.ts";

const DECODERS: Family = {
  ...ARITHMETIC,
  ...COMPARE,
  ...CONVERT,
  ...MEMORY,
  ...ATOMICS,
  ...ASYNC_COPIES,
  ...WARP,
  ...MATRIX,
  nanosleep: () => () => {},
};

/** What the scheduler does with an instruction. */
export type Step =
  | { readonly kind: "run"; readonly run: Execute }
  | { readonly kind: "branch"; readonly target: number }
  /** `brx.idx`: a row with the index into targets. */
  | { readonly kind: "table"; readonly row: number; readonly targets: readonly number[] }
  | { readonly kind: "exit" }
  | { readonly kind: "trap" }
  | { readonly kind: "barrier"; readonly barrier: Barrier };

/** A decoded instruction. */
export interface Decoded {
  readonly step: Step;
  /** Index of the predicate before it, −1 for none, and what it is flipped with. */
  readonly guard: number;
  readonly flip: number;
  /** Row with the mask of lanes that must be here together; −1: nobody must, −2: all live lanes. */
  readonly together: number;
}

/** A kernel that can run. */
export interface Program {
  readonly code: readonly Decoded[];
  readonly layout: Layout;
}

/** What a program is decoded with. */
export interface DecodeOptions {
  /** Addresses of variables. */
  readonly symbols: ReadonlyMap<string, bigint>;
}

/** Lanes that must come together: none, or all that live. */
export const NOBODY = -1;
/** All live lanes. */
export const EVERYBODY = -2;

/**
 * Decodes an entry.
 * @param entry The entry
 * @param options Addresses of variables
 * @throws {PacacError} ptx-invalid, for what is not known
 */
export function decode(entry: Entry, { symbols }: DecodeOptions): Program {
  const layout = new Layout();
  const parameters = new Map(entry.parameters.map(({ name, offset }) => [name, offset]));
  const code = entry.instructions.map((instruction, pc): Decoded => {
    const site = new Site({ instruction, layout, pc, symbols, parameters });
    const { guard } = instruction;
    return {
      step: stepOf(site, entry),
      guard: guard === undefined ? -1 : layout.of(guard.register),
      flip: guard?.negated === true ? -1 : 0,
      together: togetherOf(site),
    };
  });
  // Behind the last instruction, and where a label stands there.
  const end: Decoded = { step: { kind: "exit" }, guard: -1, flip: 0, together: NOBODY };
  for (const { value } of layout.fixed) {
    if (typeof value === "string" && !isSpecial(value)) refuse(entry, value);
  }
  return { code: [...code, end], layout };
}

function refuse(entry: Entry, name: string): never {
  const uses = ({ operands }: Instruction) =>
    operands.some((operand) => operand.kind === "special" && operand.name === name);
  const { line, source } = entry.instructions.find(uses) ?? { line: 0, source: [] };
  throw ptxError(`special register ${name} is not known`, line, source);
}

function stepOf(site: Site, entry: Entry): Step {
  const { name } = site.instruction;
  switch (name) {
    case "bra":
      return { kind: "branch", target: labelled(site, entry, site.operand(0)) };
    case "brx": {
      const table = site.operand(1);
      const labels = table.kind === "symbol" ? entry.tables.get(table.name) : undefined;
      if (labels === undefined) return site.fail("its table of targets is not there");
      const targets = labels.map((label) => target(site, entry, label));
      return { kind: "table", row: site.source(0), targets };
    }
    case "ret":
    case "exit":
      return { kind: "exit" };
    case "trap":
    case "brkpt":
      return { kind: "trap" };
    case "bar":
    case "barrier":
      if (site.has("warp")) return { kind: "run", run: syncWarp };
      return { kind: "barrier", barrier: barrierOf(site) };
    default: {
      const decoder = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
      if (decoder === undefined) return site.fail("this instruction is not known");
      return { kind: "run", run: decoder(site) };
    }
  }
}

function labelled(site: Site, entry: Entry, operand: Operand): number {
  return operand.kind === "symbol"
    ? target(site, entry, operand.name)
    : site.fail("a label is wanted");
}

function target(site: Site, entry: Entry, label: string): number {
  return entry.labels.get(label) ?? site.fail(`label ${label} is not there`);
}

/** `bar.warp.sync`: what lanes did before it is ordered before what they do after it. */
const syncWarp: Execute = (warp) => warp.block.checker?.barrier([warp]);

function togetherOf(site: Site): number {
  const { name } = site.instruction;
  if (site.has("aligned") && /^(?:mma|ldmatrix|stmatrix)$/.test(name)) return EVERYBODY;
  if (!site.has("sync")) return NOBODY;
  if (name === "bar" && site.has("warp")) return site.source(0);
  if (/^(?:shfl|vote|match|redux|elect)$/.test(name)) return site.source(site.arity - 1);
  return NOBODY;
}
