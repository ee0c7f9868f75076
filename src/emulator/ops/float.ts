/**
 * Decoders of float32 and float64 arithmetic. JavaScript computes in double and rounds to float32 in the row's view: for
 * + − · / and the square root of float32 that is the correctly rounded result. Approximations (`ex2.approx`, …) are given
 * more exactly than hardware gives them; tests must allow for that.
 * @module
 */
import { binary, type Execute, fresh, ternary, unary } from "../lanes.ts";
import type { Site } from "../operands.ts";
import {
  directed,
  flush,
  fma32,
  fma64,
  type Rounding,
  roundTo32,
  saturate,
  sumResidual,
} from "../rounding.ts";
import { find, once } from "./decoder.ts";

type Unary = (a: number) => number;
type Binary = (a: number, b: number) => number;
type Ternary = (a: number, b: number, c: number) => number;

/** NaN loses against a number. */
const least = (a: number, b: number) => a !== a ? b : b !== b ? a : Math.min(a, b);
const greatest = (a: number, b: number) => a !== a ? b : b !== b ? a : Math.max(a, b);

const UNARY: Readonly<Record<string, Unary>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  rcp: (a) => 1 / a,
  rsqrt: (a) => 1 / Math.sqrt(a),
  ex2: (a) => 2 ** a,
  lg2: Math.log2,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
};

const BINARY: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: least,
  max: greatest,
  "min.NaN": Math.min,
  "max.NaN": Math.max,
  // The sign is that of the first, the value that of the second.
  copysign: (a, b) => (a < 0 || Object.is(a, -0)) === (b < 0 || Object.is(b, -0)) ? b : -b,
};

const TERNARY: Readonly<Record<string, Record<"f32" | "f64", Ternary>>> = {
  fma: { f32: fma32, f64: fma64 },
  mad: { f32: fma32, f64: fma64 },
};

/** Directed modes of float32, by exact comparison with the nearest float32. */
const DIRECTED: Readonly<Record<string, (mode: Rounding) => Unary | Binary | Ternary>> = {
  add: (mode) => (a: number, b: number) => roundTo32(a + b, sumResidual(a, b), mode),
  sub: (mode) => (a: number, b: number) => roundTo32(a - b, sumResidual(a, -b), mode),
  mul: (mode) => (a: number, b: number) => roundTo32(a * b, 0, mode),
  fma: (mode) => (a: number, b: number, c: number) =>
    roundTo32(a * b + c, sumResidual(a * b, c), mode),
  // f · b and f · f are exact in double.
  div: (mode) => (a: number, b: number) => {
    const f = Math.fround(a / b);
    return directed(f, (a - f * b) * Math.sign(b), mode);
  },
  rcp: (mode) => (b: number) => {
    const f = Math.fround(1 / b);
    return directed(f, (1 - f * b) * Math.sign(b), mode);
  },
  sqrt: (mode) => (a: number) => {
    const f = Math.fround(Math.sqrt(a));
    return directed(f, a - f * f, mode);
  },
};

/** Parts that change no result here: nearest even is the default, approximations are exact. */
const PLAIN = new Set(["rn", "approx", "full", "f32", "f64", "ftz", "sat"]);

/**
 * Decodes arithmetic on float32 and float64.
 * @param site The instruction
 */
export function float(site: Site): Execute {
  const { name, parts } = site.instruction;
  const type = site.type as "f32" | "f64";
  const modes = parts.filter((part) => !PLAIN.has(part));
  const [mode] = modes;
  if (mode !== undefined && /^r[zmp]$/.test(mode)) {
    const make = DIRECTED[name];
    if (make === undefined || type === "f64") return site.fail("this rounding is not known");
    return run(site, make(mode as Rounding), `${name}.${mode}`);
  }
  const keys = [[name, ...modes].join(".")];
  const op = find(UNARY, keys)?.value ?? find(BINARY, keys)?.value ??
    find(TERNARY, keys)?.value[type];
  return op === undefined ? site.fail("this form is not known") : run(site, op, keys[0]);
}

/** Puts `.ftz` and `.sat` round an operation and loops over it. */
function run(site: Site, op: Unary | Binary | Ternary, name: string): Execute {
  const type = site.type as "f32" | "f64";
  const [ftz, sat] = [site.has("ftz"), site.has("sat")];
  const key = `${name} ${type} ${ftz} ${sat}`;
  const views = { to: type, from: type };
  const width = type === "f64" ? 64 : 32;
  const scale = type === "f64" ? 2 : 1;
  const d = site.target(0, width) / scale;
  const row = (index: number) => site.source(index, width) / scale;
  const before = ftz ? flush : undefined;
  const after = ftz ? (sat ? (x: number) => saturate(x) : flushed) : sat ? saturate : undefined;
  const sources = site.arity - 1;
  if (sources !== Math.max(1, op.length)) return site.fail("the number of operands is wrong");
  if (sources === 1) {
    const one = op as Unary;
    return once(key, () => unary(fresh(round1)(one, before, after), views))(d, row(1));
  }
  if (sources === 2) {
    // Math.min and Math.max have a length of 2, as all here do.
    const two = op as Binary;
    return once(key, () => binary(fresh(round2)(two, before, after), views))(d, row(1), row(2));
  }
  const three = op as Ternary;
  const loop = once(key, () => ternary(fresh(round3)(three, before, after), views));
  return loop(d, row(1), row(2), row(3));
}

/** A result is subnormal or not as a float32, not as a double. */
const flushed = (x: number) => flush(Math.fround(x));

function round1(op: Unary, before?: Unary, after?: Unary): Unary {
  if (before !== undefined && after !== undefined) return (a) => after(op(before(a)));
  return after === undefined ? op : (a) => after(op(a));
}

function round2(op: Binary, before?: Unary, after?: Unary): Binary {
  if (before !== undefined && after !== undefined) return (a, b) => after(op(before(a), before(b)));
  return after === undefined ? op : (a, b) => after(op(a, b));
}

function round3(op: Ternary, before?: Unary, after?: Unary): Ternary {
  if (before !== undefined && after !== undefined) {
    return (a, b, c) => after(op(before(a), before(b), before(c)));
  }
  return after === undefined ? op : (a, b, c) => after(op(a, b, c));
}
