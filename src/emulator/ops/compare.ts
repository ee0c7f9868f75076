/**
 * Comparisons and selection: `setp`, `set`, `selp`, `slct`, `testp`.
 * @module
 */
import { compare, compareWide, type Execute, fresh } from "../lanes.ts";
import { flush, NARROW } from "../rounding.ts";
import type { Site, Width } from "../operands.ts";
import { bytesOf } from "../syntax.ts";
import type { View, Warp } from "../warp.ts";
import { type Family, once } from "./decoder.ts";

type Test<T> = (a: T, b: T) => boolean;

/** On numbers whose order is that of their type. The ones with u hold where a value is NaN. */
const ORDERED: Readonly<Record<string, Test<number>>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a < b || a > b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  equ: (a, b) => !(a < b || a > b),
  neu: (a, b) => a !== b,
  ltu: (a, b) => !(a >= b),
  leu: (a, b) => !(a > b),
  gtu: (a, b) => !(a <= b),
  geu: (a, b) => !(a < b),
  num: (a, b) => a === a && b === b,
  nan: (a, b) => a !== a || b !== b,
};
/** lo, ls, hi, hs are the unsigned names. */
const UNSIGNED_NAMES: Readonly<Record<string, string>> = { lo: "lt", ls: "le", hi: "gt", hs: "ge" };

/** How the words of a type become numbers to compare. */
function wordsOf(type: string): { readonly view: View; readonly value?: (x: number) => number } {
  switch (type) {
    case "f32":
    case "f64":
      return { view: type };
    case "s32":
      return { view: "i32" };
    case "s16":
      return { view: "i32", value: (x) => x << 16 >> 16 };
    case "u16":
    case "b16":
      return { view: "i32", value: (x) => x & 0xffff };
    case "f16":
    case "bf16":
      return { view: "i32", value: (x) => NARROW[type].values[x & 0xffff] };
    default:
      return { view: "i32", value: (x) => x >>> 0 };
  }
}

/** A test of what a function makes of its operands. */
function after(test: Test<number>, value: (x: number) => number): Test<number> {
  return (a, b) => test(value(a), value(b));
}

/** The mask of lanes in which an instruction's comparison of two operands holds. */
function comparison(site: Site, first: number): (warp: Warp) => number {
  const { parts } = site.instruction;
  const { type } = site;
  const word = parts.map((part) => UNSIGNED_NAMES[part] ?? part).find((part) => part in ORDERED) ??
    site.fail("this comparison is not known");
  const width: Width = bytesOf(type) === 8 ? 64 : 32;
  const scale = width === 64 ? 2 : 1;
  if (bytesOf(type) === 1) return site.fail("this width is not known");
  const test = ORDERED[word];
  if (width === 64 && type !== "f64") {
    const signed = type === "s64";
    const loop = once(`compare ${word} ${type}`, () => compareWide(test, signed));
    return loop(site.source(first, 64), site.source(first + 1, 64));
  }
  const ftz = site.has("ftz") && type === "f32";
  const { view, value = ftz ? flush : undefined } = wordsOf(type);
  const loop = once(`compare ${word} ${type} ${ftz}`, () => {
    return compare(value === undefined ? test : fresh(after)(test, value), view);
  });
  return loop(site.source(first, width) / scale, site.source(first + 1, width) / scale);
}

/** `setp.CMP[.BOOL].type p[|q], a, b[, [!]c]` */
function setp(site: Site): Execute {
  const target = site.operand(0);
  const p = site.predicate(target.kind === "pair" ? target.first : target);
  const q = target.kind === "pair" ? site.predicate(target.second) : undefined;
  const holds = comparison(site, 1);
  const combine = ["and", "or", "xor"].find((word) => site.has(word));
  if (combine === undefined && q === undefined) {
    return (warp) => {
      const { p: predicates, mask } = warp;
      predicates[p] = predicates[p] & ~mask | holds(warp) & mask;
    };
  }
  const other = combine === undefined ? undefined : site.condition(site.operand(3));
  const join = (value: number, warp: Warp) => {
    if (other === undefined) return value;
    const c = warp.p[other.index] ^ other.flip;
    return combine === "and" ? value & c : combine === "or" ? value | c : value ^ c;
  };
  return (warp) => {
    const { p: predicates, mask } = warp;
    const value = holds(warp);
    const [yes, no] = [join(value, warp), join(~value, warp)];
    predicates[p] = predicates[p] & ~mask | yes & mask;
    if (q !== undefined) predicates[q] = predicates[q] & ~mask | no & mask;
  };
}

/** `set.CMP.dtype.type d, a, b`: all ones or 0; 1.0 or 0 as a float. */
function set(site: Site): Execute {
  if (site.arity !== 3) return site.fail("set with a third source is not known");
  const d = site.target(0);
  const yes = site.types[0] === "f32" ? 0x3f80_0000 : -1;
  const holds = comparison(site, 1);
  return (warp) => {
    const value = holds(warp);
    for (let i = 0; i < 32; i++) {
      if ((warp.mask >>> i & 1) !== 0) warp.i32[d + i] = (value >>> i & 1) !== 0 ? yes : 0;
    }
  };
}

/** Moves lanes of a or b to d, `step` words a lane, by a mask. */
function select(site: Site, choose: (warp: Warp) => number): Execute {
  const width: Width = bytesOf(site.instruction.name === "slct" ? site.types[0] : site.type) === 8
    ? 64
    : 32;
  const step = width / 32;
  const d = site.target(0, width);
  const a = site.source(1, width);
  const b = site.source(2, width);
  return (warp) => {
    const { i32, mask } = warp;
    const first = choose(warp);
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      const from = ((first >>> i & 1) !== 0 ? a : b) + i * step;
      i32[d + i * step] = i32[from];
      if (step === 2) i32[d + i * step + 1] = i32[from + 1];
    }
  };
}

/** `selp d, a, b, p` */
function selp(site: Site): Execute {
  const { index, flip } = site.condition(site.operand(3));
  return select(site, ({ p }) => p[index] ^ flip);
}

/** `slct d, a, b, c`: a where c ≥ 0. */
function slct(site: Site): Execute {
  const view: View = site.type === "f32" ? "f32" : "i32";
  const c = site.source(3);
  return select(site, (warp) => {
    let mask = 0;
    for (let i = 0; i < 32; i++) if (warp[view][c + i] >= 0) mask |= 1 << i;
    return mask;
  });
}

const TESTS: Readonly<Record<string, (x: number) => boolean>> = {
  finite: Number.isFinite,
  infinite: (x) => Math.abs(x) === Infinity,
  number: (x) => x === x,
  notanumber: (x) => x !== x,
};

/** `testp.KIND p, a` */
function testp(site: Site): Execute {
  const test = TESTS[site.instruction.parts[0]] ?? site.fail("this test is not known");
  const p = site.predicate(site.operand(0));
  const isDouble = site.type === "f64";
  const a = isDouble ? site.source(1, 64) / 2 : site.source(1);
  return (warp) => {
    const x = isDouble ? warp.f64 : warp.f32;
    let value = 0;
    for (let i = 0; i < 32; i++) if (test(x[a + i])) value |= 1 << i;
    warp.p[p] = warp.p[p] & ~warp.mask | value & warp.mask;
  };
}

/** Comparisons and selection. */
export const COMPARE: Family = { setp, set, selp, slct, testp };
