/**
 * `cvt`: between integers and floats of all widths, with the rounding that is asked for.
 * @module
 */
import { binary, type Execute, fresh, unary, wide } from "../lanes.ts";
import type { Site } from "../operands.ts";
import {
  bf16OfBits,
  bitsOf,
  flush,
  NARROW,
  narrow,
  roundEven,
  type Rounding,
  roundTo32,
  saturate,
} from "../rounding.ts";
import { bytesOf } from "../syntax.ts";
import type { View } from "../warp.ts";
import { type Family, once } from "./decoder.ts";

const isFloat = (type: string) => type.includes("f");
const isWide = (type: string) => bytesOf(type) === 8;

/** To a whole number: nearest even, to zero, down, up. */
const WHOLE: Readonly<Record<string, (x: number) => number>> = {
  rni: roundEven,
  rzi: Math.trunc,
  rmi: Math.floor,
  rpi: Math.ceil,
};

function cvt(site: Site): Execute {
  const [to, from] = site.types;
  if (from === undefined) return site.fail("two types are wanted");
  if (to.endsWith("x2")) return packedCvt(site, to);
  if (to === "tf32") return tensorCvt(site);
  if (isFloat(to)) return isFloat(from) ? floatToFloat(site) : integerToFloat(site);
  return isFloat(from) ? floatToInteger(site) : integerToInteger(site);
}

/** A loop from a view to a view, each with the width of its own rows. */
function convert<A, D>(
  site: Site,
  op: (a: A) => D,
  views: { readonly to: View; readonly from: View },
): Execute {
  const scale = (view: View) => view.endsWith("64") ? 2 : 1;
  const [to, from] = [scale(views.to), scale(views.from)];
  const key = `${site.instruction.opcode} ${views.to} ${views.from} ${targetBytes(site)}`;
  const loop = once(key, () => unary(op, views));
  return loop(site.target(0, to === 2 ? 64 : 32) / to, site.source(1, from === 2 ? 64 : 32) / from);
}

/** Cuts to a type and extends by its sign; a row of 16 bits keeps its upper half clear. */
function cutTo(type: string, registerBytes: number): (x: number) => number {
  const keep = registerBytes < 4 ? 0xffff : -1;
  switch (type) {
    case "s8":
      return (x) => (x << 24 >> 24) & keep;
    case "u8":
    case "b8":
      return (x) => x & 0xff;
    case "s16":
      return (x) => (x << 16 >> 16) & keep;
    case "u16":
    case "b16":
      return (x) => x & 0xffff;
    default:
      return (x) => x | 0;
  }
}

/** Bytes of the register that a conversion writes. */
function targetBytes(site: Site): number {
  const operand = site.operand(0);
  return operand.kind === "register" ? bytesOf(operand.register.type) : 4;
}

/** Least and greatest value of an integer type. */
function rangeOf(type: string): readonly [number, number] {
  const bits = 8 * bytesOf(type);
  return type.startsWith("s") ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

function integerToInteger(site: Site): Execute {
  const [to, from] = site.types;
  if (isWide(from) && isWide(to)) {
    const copy = { low: (al: number) => al, high: (_al: number, ah: number) => ah };
    if (site.has("sat")) return site.fail("saturating conversion of 64 bits is not known");
    const a = site.source(1, 64);
    return once("cvt 64", () => wide(copy, { a: 2, b: 2 }))(site.target(0, 64), a, a);
  }
  if (isWide(from)) return narrowed(site);
  const extend = cutTo(from, 4);
  if (isWide(to)) {
    const unsigned = from.startsWith("u");
    const pair = {
      low: (al: number) => extend(al),
      high: unsigned ? () => 0 : (al: number) => extend(al) >> 31,
    };
    const a = site.source(1);
    return once(`cvt 64 ${from}`, () => wide(pair, { a: 1, b: 1 }))(site.target(0, 64), a, a);
  }
  const [least, most] = rangeOf(to);
  const unsigned = from === "u32";
  const cut = cutTo(to, targetBytes(site));
  const op = site.has("sat")
    ? (x: number) => {
      const value = unsigned ? x >>> 0 : extend(x);
      return cut(Math.max(least, Math.min(most, value)));
    }
    : (x: number) => cut(extend(x));
  const loop = once(`${site.instruction.opcode} ${targetBytes(site)}`, () => {
    return unary(op, { to: "i32", from: "i32" });
  });
  return loop(site.target(0), site.source(1));
}

/** Of 64 bits the lower part. */
function narrowed(site: Site): Execute {
  if (site.has("sat")) return site.fail("saturating conversion of 64 bits is not known");
  const cut = cutTo(site.types[0], targetBytes(site));
  const [d, a] = [site.target(0), site.source(1, 64)];
  return ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) if ((mask >>> i & 1) !== 0) i32[d + i] = cut(i32[a + 2 * i]);
  };
}

/** The view that a float is read from, and how its words become a number. */
function reader(type: string): { readonly view: View; readonly value: (x: number) => number } {
  if (type === "f32" || type === "f64") return { view: type, value: (x) => x };
  if (type !== "bf16" && type !== "f16") return { view: "i32", value: (x) => x };
  const { values } = NARROW[type];
  return { view: "i32", value: (x) => values[x & 0xffff] };
}

function floatToInteger(site: Site): Execute {
  const [to, from] = site.types;
  const mode = Object.keys(WHOLE).find((word) => site.has(word)) ??
    site.fail("no rounding is given");
  const { view, value } = reader(from);
  const whole = WHOLE[mode];
  const ftz = site.has("ftz") && from === "f32";
  const read = ftz ? (x: number) => whole(flush(value(x))) : (x: number) => whole(value(x));
  if (isWide(to)) {
    const signed = to === "s64";
    const [least, most] = signed ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
    const op = (x: number) => {
      const w = read(x);
      // NaN gives the pattern of the sign alone.
      if (w !== w) return signed ? least : 2n ** 63n;
      if (w >= Number(most)) return most;
      return w <= Number(least) ? least : BigInt(w);
    };
    return convert(site, op, { to: signed ? "i64" : "u64", from: view });
  }
  const [least, most] = rangeOf(to);
  const cut = cutTo(to, targetBytes(site));
  // NaN gives 0.
  const op = (x: number) => {
    const w = read(x);
    return w !== w ? 0 : cut(Math.max(least, Math.min(most, w)));
  };
  return convert(site, op, { to: "i32", from: view });
}

function integerToFloat(site: Site): Execute {
  const [to, from] = site.types;
  const mode = modeOf(site);
  if (isWide(from)) {
    if (to !== "f32" && to !== "f64") return site.fail("this conversion is not known");
    if (to === "f64" && mode !== "rn") return site.fail("this rounding is not known");
    const op = (x: bigint) => {
      const value = Number(x);
      if (to === "f64") return value;
      const rest = x - BigInt(value);
      return roundTo32(value, rest > 0n ? 1 : rest < 0n ? -1 : 0, mode);
    };
    return convert(site, op, { to, from: from === "s64" ? "i64" : "u64" });
  }
  const extend = from === "u32" ? (x: number) => x >>> 0 : cutTo(from, 4);
  if (to === "f64") return convert(site, extend, { to, from: "i32" });
  if (to === "f32") {
    const op = mode === "rn" ? extend : (x: number) => roundTo32(extend(x), 0, mode);
    return convert(site, op, { to, from: "i32" });
  }
  if (mode !== "rn" || (to !== "f16" && to !== "bf16")) {
    return site.fail("this rounding is not known");
  }
  const { nearest } = NARROW[to];
  return convert(site, (x: number) => nearest(extend(x), 0), { to: "i32", from: "i32" });
}

function modeOf(site: Site): Rounding {
  const mode = site.instruction.parts.find((part) => /^r[nzmp]$/.test(part));
  return (mode ?? "rn") as Rounding;
}

function floatToFloat(site: Site): Execute {
  const [to, from] = site.types;
  const { view, value } = reader(from);
  const mode = modeOf(site);
  const whole = Object.keys(WHOLE).find((word) => site.has(word));
  const ftz = site.has("ftz") && (from === "f32" || to === "f32");
  const steps: ((x: number) => number)[] = [value];
  if (ftz && from === "f32") steps.push(flush);
  if (whole !== undefined) steps.push(WHOLE[whole]);
  if (site.has("sat")) steps.push(saturate);
  if (site.has("relu")) steps.push((x) => x > 0 || x !== x ? x : 0);
  if (to === "f32" && from === "f64") steps.push((x) => roundTo32(x, 0, mode));
  if (ftz && to === "f32" && from === "f64") steps.push(flush);
  if (to === "bf16" || to === "f16") steps.push(rounder(to, from, mode));
  const op = steps.reduce((first, next) => (x) => next(first(x)));
  const target: View = to === "f32" || to === "f64" ? to : "i32";
  return convert(site, op, { to: target, from: view });
}

/** From a number to the bits of a 16-bit float. */
function rounder(to: "bf16" | "f16", from: string, mode: Rounding): (x: number) => number {
  if (mode === "rn" && to === "bf16" && from === "f32") return (x) => bf16OfBits(bitsOf(x));
  return (x) => narrow(to, x, mode);
}

/** `cvt.rn.bf16x2.f32 d, a, b`: a goes to the upper half. */
function packedCvt(site: Site, to: string): Execute {
  const type = to === "bf16x2" ? "bf16" : "f16";
  if (site.type !== "f32" || site.arity !== 3) return site.fail("this conversion is not known");
  const round = rounder(type, "f32", modeOf(site));
  const relu = site.has("relu");
  const key = site.instruction.opcode;
  const loop = once(key, () => binary(fresh(pack)(round, relu), { to: "i32", from: "f32" }));
  return loop(site.target(0), site.source(1), site.source(2));
}

function pack(round: (x: number) => number, relu: boolean): (a: number, b: number) => number {
  if (relu) {
    return (a, b) => round(a > 0 || a !== a ? a : 0) << 16 | round(b > 0 || b !== b ? b : 0);
  }
  return (a, b) => round(a) << 16 | round(b);
}

/** `cvt.rna.tf32.f32`: 10 bits of fraction, ties away from zero; the rest is 0. `rn` is ties to even. */
function tensorCvt(site: Site): Execute {
  const even = site.has("rn");
  if (!even && !site.has("rna")) return site.fail("this rounding is not known");
  const op = (x: number) => {
    const bits = bitsOf(x);
    if ((bits & 0x7f80_0000) === 0x7f80_0000) return bits;
    const half = even ? 0xfff + (bits >>> 13 & 1) : 0x1000;
    return bits + half & ~0x1fff;
  };
  return convert(site, op, { to: "i32", from: "f32" });
}

/** Conversions. */
export const CONVERT: Family = { cvt };
