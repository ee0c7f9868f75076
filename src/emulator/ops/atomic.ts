/**
 * `atom` and `red`: lanes one after another, each reads, computes and writes.
 * @module
 */
import type { Execute } from "../lanes.ts";
import type { Memory } from "../memory.ts";
import type { Site } from "../operands.ts";
import { NARROW } from "../rounding.ts";
import { bytesOf } from "../syntax.ts";
import type { Family } from "./decoder.ts";
import { approach } from "./memory.ts";
import { ADDRESSES, addressOf, spaceOf } from "./space.ts";

/** New value from the old one and operands, as bits of the type's width. */
type Word = (old: number, b: number, c: number) => number;
type Big = (old: bigint, b: bigint, c: bigint) => bigint;

const WORD: Readonly<Record<string, Word>> = {
  add: (old, b) => old + b | 0,
  and: (old, b) => old & b,
  or: (old, b) => old | b,
  xor: (old, b) => old ^ b,
  exch: (_old, b) => b,
  cas: (old, b, c) => old === b ? c : old,
  "min.s32": Math.min,
  "max.s32": Math.max,
  "min.u32": (old, b) => old >>> 0 < b >>> 0 ? old : b,
  "max.u32": (old, b) => old >>> 0 > b >>> 0 ? old : b,
  // Wrap at b: counters of blocks that came by.
  "inc.u32": (old, b) => old >>> 0 >= b >>> 0 ? 0 : old + 1,
  "dec.u32": (old, b) => old === 0 || old >>> 0 > b >>> 0 ? b : old - 1,
};

const BIG: Readonly<Record<string, Big>> = {
  add: (old, b) => old + b,
  and: (old, b) => old & b,
  or: (old, b) => old | b,
  xor: (old, b) => old ^ b,
  exch: (_old, b) => b,
  cas: (old, b, c) => old === b ? c : old,
  min: (old, b) => b < old ? b : old,
  max: (old, b) => b > old ? b : old,
};

const FLOAT = new Float32Array(2);
const FLOAT_BITS = new Int32Array(FLOAT.buffer);

/** float32 addition on bits. */
function addFloat(old: number, b: number): number {
  FLOAT_BITS[0] = old;
  FLOAT_BITS[1] = b;
  FLOAT[0] += FLOAT[1];
  return FLOAT_BITS[0];
}

/** Addition of two 16-bit floats in a word. */
function addPair(type: "bf16" | "f16"): Word {
  const { values, nearest } = NARROW[type];
  const one = (a: number, b: number) => nearest(values[a & 0xffff] + values[b & 0xffff], 0);
  return (old, b) => one(old, b) | one(old >>> 16, b >>> 16) << 16;
}

function wordOp(site: Site, name: string): Word | undefined {
  const { type } = site;
  if (name === "add" && type === "f32") return addFloat;
  if (name === "add" && type === "bf16x2") return addPair("bf16");
  if (name === "add" && type === "f16x2") return addPair("f16");
  return bytesOf(type) === 4 ? WORD[`${name}.${type}`] ?? WORD[name] : undefined;
}

const NAMES = ["add", "and", "or", "xor", "exch", "cas", "min", "max", "inc", "dec"];

function atomic(site: Site): Execute {
  const returns = site.instruction.name === "atom";
  const name = NAMES.find((one) => site.has(one)) ?? site.fail("this operation is not known");
  const first = returns ? 1 : 0;
  const address = addressOf(site, site.operand(first));
  const bytes = bytesOf(site.type);
  const access = {
    ...{ site: site.pc, space: spaceOf(site), bytes, align: bytes },
    kind: "atomic",
  } as const;
  const update = bytes === 8 ? longUpdate(site, name, first) : wordUpdate(site, name, first);
  return (warp) => {
    const { memory, lanes } = approach(warp, address, access);
    const { checker } = warp.block;
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      checker?.books.synchronise(warp.index, ADDRESSES[i]);
      update(warp.i32, memory, i);
    }
  };
}

/** Updates one lane's place and gives the lane the old value. */
type Update = (registers: Int32Array, memory: Memory, lane: number) => void;

function wordUpdate(site: Site, name: string, first: number): Update {
  const op = wordOp(site, name) ?? site.fail("this type is not known");
  const d = first === 0 ? 0 : site.target(0);
  const b = site.source(first + 1);
  const c = name === "cas" ? site.source(first + 2) : b;
  return (registers, { i32 }, lane) => {
    const at = ADDRESSES[lane] >>> 2;
    const old = i32[at];
    i32[at] = op(old, registers[b + lane], registers[c + lane]);
    registers[d + lane] = old;
  };
}

function longUpdate(site: Site, name: string, first: number): Update {
  if (site.type === "f64") return site.fail("this type is not known");
  const op = BIG[name] ?? site.fail("this operation is not known");
  const d = first === 0 ? 0 : site.target(0, 64);
  const b = site.source(first + 1, 64);
  const c = name === "cas" ? site.source(first + 2, 64) : b;
  const signed = site.type === "s64";
  const take = (words: Int32Array, at: number) => {
    const low = BigInt(words[at] >>> 0);
    return BigInt(signed ? words[at + 1] : words[at + 1] >>> 0) << 32n | low;
  };
  const put = (words: Int32Array, at: number, value: bigint) => {
    words[at] = Number(BigInt.asIntN(32, value));
    words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
  };
  return (registers, { i32 }, lane) => {
    const at = ADDRESSES[lane] >>> 2;
    const old = take(i32, at);
    put(i32, at, op(old, take(registers, b + 2 * lane), take(registers, c + 2 * lane)));
    put(registers, d + 2 * lane, old);
  };
}

/** A fence makes what the warp did ready for whoever synchronises with its next atomic. */
function fence(site: Site): Execute {
  const { parts } = site.instruction;
  // membar.cta and fence.*.cta order nothing between blocks.
  const wide = !parts.includes("cta");
  return ({ block, index }) => {
    if (wide) block.checker?.books.fence(index);
  };
}

/** Atomic operations and fences. */
export const ATOMICS: Family = { atom: atomic, red: atomic, membar: fence, fence };
