/**
 * Decoders of bfloat16 and half arithmetic, single or two to a word. An operation is exact on doubles but for what is
 * given beside it, and is rounded once.
 * @module
 */
import { binary, type Execute, ternary, unary } from "../lanes.ts";
import type { Site } from "../operands.ts";
import { NARROW, sumResidual } from "../rounding.ts";
import { once } from "./decoder.ts";

/** A value in double and what it lacks; of approximations the second does not matter. */
type Op = (a: number, b: number, c: number) => number;
interface Exact {
  readonly value: Op;
  readonly lacks?: Op;
}

const least = (a: number, b: number) => a !== a ? b : b !== b ? a : Math.min(a, b);
const greatest = (a: number, b: number) => a !== a ? b : b !== b ? a : Math.max(a, b);

const OPS: Readonly<Record<string, Exact>> = {
  add: { value: (a, b) => a + b, lacks: (a, b) => sumResidual(a, b) },
  sub: { value: (a, b) => a - b, lacks: (a, b) => sumResidual(a, -b) },
  mul: { value: (a, b) => a * b },
  fma: { value: (a, b, c) => a * b + c, lacks: (a, b, c) => sumResidual(a * b, c) },
  "fma.relu": {
    value: (a, b, c) => Math.max(0, a * b + c),
    lacks: (a, b, c) => a * b + c > 0 ? sumResidual(a * b, c) : 0,
  },
  min: { value: least },
  max: { value: greatest },
  "min.NaN": { value: Math.min },
  "max.NaN": { value: Math.max },
  neg: { value: (a) => -a },
  abs: { value: Math.abs },
  ex2: { value: (a) => 2 ** a },
  tanh: { value: Math.tanh },
};

const PLAIN = new Set(["rn", "approx", "ftz", "f16", "f16x2", "bf16", "bf16x2", "sat"]);
const WORDS = { to: "i32", from: "i32" } as const;

/**
 * Decodes arithmetic on 16-bit floats.
 * @param site The instruction
 */
export function packed(site: Site): Execute {
  const { name, parts } = site.instruction;
  const key = [name, ...parts.filter((part) => !PLAIN.has(part))].join(".");
  const exact = OPS[key];
  if (exact === undefined || site.has("sat")) return site.fail("this form is not known");
  const type = site.type.startsWith("bf16") ? "bf16" : "f16";
  const two = site.type.endsWith("x2");
  const op = half(exact, type);
  const both: Op = two
    ? (a, b, c) => op(a & 0xffff, b & 0xffff, c & 0xffff) | op(a >>> 16, b >>> 16, c >>> 16) << 16
    : (a, b, c) => op(a & 0xffff, b & 0xffff, c & 0xffff);
  const unique = `${key} ${site.type}`;
  const row = (index: number) => site.source(index);
  const d = site.target(0);
  switch (site.arity) {
    case 2:
      return once(unique, () => unary((a: number) => both(a, 0, 0), WORDS))(d, row(1));
    case 3:
      return once(unique, () => binary((a: number, b: number) => both(a, b, 0), WORDS))(
        d,
        row(1),
        row(2),
      );
    default:
      return once(unique, () => ternary(both, WORDS))(d, row(1), row(2), row(3));
  }
}

/** An operation on the bits of one 16-bit float. Subnormal halves are kept: `.ftz` of halves is not modelled. */
function half({ value, lacks = () => 0 }: Exact, type: "bf16" | "f16"): Op {
  const { values, nearest } = NARROW[type];
  return (a, b, c) => {
    const x = values[a];
    const y = values[b];
    const z = values[c];
    return nearest(value(x, y, z), lacks(x, y, z));
  };
}
