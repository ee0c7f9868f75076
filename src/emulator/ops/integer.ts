/**
 * Decoders of integer arithmetic: 16 and 32 bits on words, 64 bits on pairs.
 * @module
 */
import { binary, type Execute, fresh, quaternary, ternary, unary, wide } from "../lanes.ts";
import type { Site } from "../operands.ts";
import { bytesOf } from "../syntax.ts";
import type { View } from "../warp.ts";
import { find, once } from "./decoder.ts";
import { BINARY32, insert, lop3, permute, TERNARY32, UNARY32 } from "./integer32.ts";
import {
  BINARY64,
  extract64,
  insert64,
  PAIR64,
  SHIFT64,
  TERNARY64,
  UNARY64,
  WIDE32,
} from "./integer64.ts";

const WORDS = { to: "i32", from: "i32" } as const;

/** Keys under which an operation may stand, the most special first; `type` may be another than written. */
function keysOf(site: Site, type: string): string[] {
  const { name, parts } = site.instruction;
  const modes = parts.filter((part) => part !== site.type && part !== "uni");
  return [[name, ...modes, type].join("."), [name, ...modes].join(".")];
}

/**
 * Decodes an integer instruction by its type.
 * @param site The instruction
 */
export function integer(site: Site): Execute {
  const { name } = site.instruction;
  if (site.has("wide")) return wideProduct(site);
  const bytes = bytesOf(site.type);
  if (bytes === 1) return site.fail("this width is not known");
  if (bytes === 8) return name === "bfe" || name === "bfi" ? field64(site) : integer64(site);
  return bytes === 2 ? integer16(site) : integer32(site);
}

function integer32(site: Site): Execute {
  const { name } = site.instruction;
  const row = (index: number) => site.source(index);
  if (name === "bfi") {
    return quaternary(insert)(site.target(0), row(1), row(2), row(3), row(4));
  }
  if (name === "lop3") {
    const table = site.constant(4);
    const loop = once(`lop3 ${table}`, () => ternary(lop3(table), WORDS));
    return loop(site.target(0), row(1), row(2), row(3));
  }
  if (name === "prmt") {
    const mode = site.instruction.parts.find((part) => part !== "b32");
    const loop = once(`prmt ${mode}`, () => ternary(permute(mode), WORDS));
    return loop(site.target(0), row(1), row(2), row(3));
  }
  return looped(site, (key, op) => ({ key, op }));
}

/** Wraps an operation so that it may be used at another type. */
type Wrap = <F>(key: string, op: F) => { readonly key: string; readonly op: F };

/** An operation of the tables of 32 bits. */
function looped(site: Site, wrap: Wrap): Execute {
  const keys = keysOf(site, site.type.replace(/16$/, "32"));
  const one = find(UNARY32, keys);
  if (one !== undefined) {
    const { key, op } = wrap(one.key, one.value);
    const loop = once(key, () => unary(op, WORDS));
    return loop(site.target(0), site.source(1));
  }
  const two = find(BINARY32, keys);
  if (two !== undefined) {
    const { key, op } = wrap(two.key, two.value);
    const loop = once(key, () => binary(op, WORDS));
    return loop(site.target(0), site.source(1), site.source(2));
  }
  const three = find(TERNARY32, keys);
  if (three === undefined) return site.fail("this form is not known");
  const { key, op } = wrap(three.key, three.value);
  const loop = once(key, () => ternary(op, WORDS));
  return loop(site.target(0), site.source(1), site.source(2), site.source(3));
}

/** 16 bits: sources extended by their sign, the result cut. A shift's count has 32 bits and is left alone. */
function integer16(site: Site): Execute {
  const { name } = site.instruction;
  if (name === "mul" && site.has("hi")) return site.fail("mul.hi of 16 bits is not known");
  const signed = site.type.startsWith("s");
  const extend = signed ? (a: number) => a << 16 >> 16 : (a: number) => a & 0xffff;
  const shift = name === "shl" || name === "shr";
  return looped(site, (key, op) => {
    const cut = once(`cut ${signed} ${key}`, () => fresh(cutTo16)(op, extend, shift));
    return { key: `16 ${signed} ${key}`, op: cut };
  });
}

function cutTo16<F>(op: F, extend: (x: number) => number, shift: boolean): F {
  const plain = op as (a: number, b: number, c: number) => number;
  const cut = (a: number, b: number, c: number) =>
    plain(extend(a), shift ? b : extend(b), extend(c)) & 0xffff;
  return cut as F;
}

/** `mul.wide` and `mad.wide`: results twice as wide as sources. */
function wideProduct(site: Site): Execute {
  const { type } = site;
  const isMad = site.instruction.name === "mad";
  if (bytesOf(type) === 2) {
    const cut = type === "s16" ? (a: number) => a << 16 >> 16 : (a: number) => a & 0xffff;
    const row = (index: number) => site.source(index);
    if (isMad) {
      const op = (a: number, b: number, c: number) => Math.imul(cut(a), cut(b)) + c | 0;
      return once(`mad.wide.${type}`, () => ternary(op, WORDS))(
        site.target(0),
        ...[row(1), row(2), row(3)] as [number, number, number],
      );
    }
    const op = (a: number, b: number) => Math.imul(cut(a), cut(b));
    return once(`mul.wide.${type}`, () => binary(op, WORDS))(site.target(0), row(1), row(2));
  }
  const pair = WIDE32[type];
  if (pair === undefined) return site.fail("this width is not known");
  const multiply = once(`mul.wide.${type}`, () => wide(pair, { a: 1, b: 1 }));
  const d = site.target(0, 64);
  if (!isMad) return multiply(d, site.source(1), site.source(2));
  // The product goes to a row of its own, since the destination may be the addend.
  const product = site.layout.scratch(64);
  return inTurn(
    multiply(product, site.source(1), site.source(2)),
    add64()(d, product, site.source(3, 64)),
  );
}

const add64 = () => once("add.64", () => wide(PAIR64.add, { a: 2, b: 2 }));

/** Two steps of one instruction. */
function inTurn(first: Execute, second: Execute): Execute {
  return (warp) => {
    first(warp);
    second(warp);
  };
}

function integer64(site: Site): Execute {
  const { name } = site.instruction;
  const keys = keysOf(site, site.type);
  const pair = find(PAIR64, keys);
  if (pair !== undefined) {
    const loop = once(`${pair.key}.64`, () => wide(pair.value, { a: 2, b: 2 }));
    return loop(site.target(0, 64), site.source(1, 64), site.source(2, 64));
  }
  const shift = find(SHIFT64, keys);
  if (shift !== undefined) {
    const loop = once(`${shift.key}.64`, () => wide(shift.value, { a: 2, b: 1 }));
    return loop(site.target(0, 64), site.source(1, 64), site.source(2));
  }
  if (name === "mad" && site.has("lo")) {
    const product = site.layout.scratch(64);
    const multiply = once("mul.lo.64", () => wide(PAIR64["mul.lo"], { a: 2, b: 2 }));
    return inTurn(
      multiply(product, site.source(1, 64), site.source(2, 64)),
      add64()(site.target(0, 64), product, site.source(3, 64)),
    );
  }
  return big(site, keys);
}

/** The rare ones, on BigInt. */
function big(site: Site, keys: readonly string[]): Execute {
  const view: View = site.type.startsWith("s") ? "i64" : "u64";
  const row = (index: number) => site.source(index, 64) / 2;
  const bigViews = { to: view, from: view };
  const one = find(UNARY64, keys);
  if (one !== undefined) {
    if (one.key === "popc" || one.key === "clz") {
      const op = (a: bigint) => Number(one.value(a));
      const loop = once(`${one.key}.64`, () => unary(op, { to: "i32", from: "u64" }));
      return loop(site.target(0), row(1));
    }
    const loop = once(`${one.key}.${view}`, () => unary(one.value, bigViews));
    return loop(site.target(0, 64) / 2, row(1));
  }
  const two = find(BINARY64, keys);
  if (two !== undefined) {
    const loop = once(`${two.key}.${view}`, () => binary(two.value, bigViews));
    return loop(site.target(0, 64) / 2, row(1), row(2));
  }
  const three = find(TERNARY64, keys);
  if (three === undefined) return site.fail("this form is not known");
  const loop = once(`${three.key}.${view}`, () => ternary(three.value, bigViews));
  return loop(site.target(0, 64) / 2, row(1), row(2), row(3));
}

/** `bfe` and `bfi` of 64 bits: position and length have 32. */
function field64(site: Site): Execute {
  const d = site.target(0, 64) / 2;
  const a = site.source(1, 64) / 2;
  const inserts = site.instruction.name === "bfi";
  const b = inserts ? site.source(2, 64) / 2 : 0;
  const position = site.source(inserts ? 3 : 2);
  const length = site.source(inserts ? 4 : 3);
  const signed = site.type === "s64";
  return ({ u64, i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      u64[d + i] = inserts
        ? insert64(u64[a + i], u64[b + i], i32[position + i], i32[length + i])
        : extract64(u64[a + i], i32[position + i], i32[length + i], signed);
    }
  };
}
