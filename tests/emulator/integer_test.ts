/**
 * Integer instructions against their definitions on BigInt, at random and at the edges.
 * @module
 */
import assert from "node:assert/strict";
import { evaluate } from "./one_instruction.ts";
import { randomNumbers } from "./support.ts";

const SEED = Number(Deno.env.get("PACAC_SEED") ?? 1);
const COUNT = 512;
type Big = bigint;

/** Random words of all sizes, and the edges. */
function words(bits: number, seed: number): Big[] {
  const random = randomNumbers(seed * 104729 + SEED);
  const top = 1n << BigInt(bits - 1);
  const edges = [0n, 1n, top - 1n, top, top + 1n, 2n * top - 1n];
  return Array.from({ length: COUNT }, (_, i) => {
    if (i < 36) return seed % 2 === 1 ? edges[i % 6] : edges[Math.floor(i / 6)];
    const low = BigInt(Math.floor((random() + 1) * 2 ** 31));
    const high = BigInt(Math.floor((random() + 1) * 2 ** 31));
    const size = BigInt(Math.floor((random() + 1) / 2 * bits) + 1);
    return BigInt.asUintN(bits, (high << 32n | low) & (1n << size) - 1n);
  });
}

/** Shift counts and field places: small ones, and past the width. */
function counts(most: number, seed: number): Big[] {
  const random = randomNumbers(seed * 7907 + SEED);
  return Array.from({ length: COUNT }, () => BigInt(Math.floor((random() + 1) / 2 * most)));
}

interface Case {
  readonly instruction: string;
  readonly registers: readonly string[];
  readonly sources: readonly (readonly Big[])[];
  /** The result before it is cut to the destination. */
  readonly wanted: (...values: readonly Big[]) => Big;
}

const signed = (bits: number) => (x: Big) => BigInt.asIntN(bits, x);

/** Of each of `add.s32` and its like: the operation on values with the type's sign. */
function arithmetic(type: string, op: string, wanted: (a: Big, b: Big, c: Big) => Big): Case {
  const bits = Number(type.slice(1));
  const value = type.startsWith("s") ? signed(bits) : (x: Big) => x;
  const arity = wanted.length;
  const register = `b${bits}`;
  const names = ["%1", "%2", "%3"].slice(0, arity).join(", ");
  return {
    instruction: `${op}.${type} %0, ${names};`,
    registers: [register, ...Array.from({ length: arity }, () => register)],
    sources: [1, 2, 3].slice(0, arity).map((seed) => words(bits, seed)),
    wanted: (a, b, c) => wanted(value(a), value(b ?? 0n), value(c ?? 0n)),
  };
}

const high = (bits: number) => (a: Big, b: Big) => a * b >> BigInt(bits);
const least = (a: Big, b: Big) => a < b ? a : b;
const most = (a: Big, b: Big) => a > b ? a : b;

/** Division by 0 gives all ones, its rest the dividend. */
const divide = (a: Big, b: Big) => b === 0n ? -1n : a / b;
const rest = (a: Big, b: Big) => b === 0n ? a : a % b;

function popcount(x: Big): Big {
  return BigInt(x.toString(2).replaceAll("0", "").length);
}

function field(bits: number, isSigned: boolean): (a: Big, position: Big, length: Big) => Big {
  return (a, position, length) => {
    const [from, count] = [Number(position & 0xffn), Number(length & 0xffn)];
    const bit = (i: number) => i < bits && i >= 0 ? a >> BigInt(i) & 1n : 0n;
    const sign = isSigned && count > 0 ? bit(Math.min(from + count - 1, bits - 1)) : 0n;
    let out = 0n;
    for (let i = 0; i < bits; i++) {
      const one = i < count && from + i < bits ? bit(from + i) : sign;
      out |= one << BigInt(i);
    }
    return out;
  };
}

function insert(bits: number): (a: Big, b: Big, position: Big, length: Big) => Big {
  return (a, b, position, length) => {
    const [from, count] = [Number(position & 0xffn), Number(length & 0xffn)];
    let out = b;
    for (let i = 0; i < count && from + i < bits; i++) {
      const at = BigInt(from + i);
      out = out & ~(1n << at) | (a >> BigInt(i) & 1n) << at;
    }
    return out;
  };
}

function bytes(a: Big, b: Big, picks: readonly number[]): Big {
  const all = b << 32n | a;
  return picks.reduce((out, pick, i) => {
    const byte = all >> BigInt(8 * (pick & 7)) & 0xffn;
    const value = pick > 7 ? (byte > 127n ? 0xffn : 0n) : byte;
    return out | value << BigInt(8 * i);
  }, 0n);
}

const nibbles = (c: Big) => [0n, 4n, 8n, 12n].map((at) => Number(c >> at & 15n));

const CASES: readonly Case[] = [
  ...["s32", "u32", "s64", "u64", "s16", "u16"].flatMap((type) => [
    arithmetic(type, "add", (a, b) => a + b),
    arithmetic(type, "sub", (a, b) => a - b),
    arithmetic(type, "mul.lo", (a, b) => a * b),
    arithmetic(type, "min", least),
    arithmetic(type, "max", most),
    arithmetic(type, "mad.lo", (a, b, c) => a * b + c),
  ]),
  ...["s32", "u32", "s64", "u64"].flatMap((type) => [
    arithmetic(type, "mul.hi", high(Number(type.slice(1)))),
    arithmetic(type, "div", divide),
    arithmetic(type, "rem", rest),
    arithmetic(type, "mad.hi", (a, b, c) => high(Number(type.slice(1)))(a, b) + c),
    arithmetic(type, "sad", (a, b, c) => (a > b ? a - b : b - a) + c),
  ]),
  ...["s32", "s64"].flatMap((type) => [
    arithmetic(type, "neg", (a) => -a),
    arithmetic(type, "abs", (a) => a < 0n ? -a : a),
  ]),
  ...["b16", "b32", "b64"].flatMap((type) => [
    arithmetic(type, "and", (a, b) => a & b),
    arithmetic(type, "or", (a, b) => a | b),
    arithmetic(type, "xor", (a, b) => a ^ b),
    arithmetic(type, "not", (a) => ~a),
  ]),
  ...["s32", "u32"].map((type): Case => {
    const value = type === "s32" ? signed(32) : (x: Big) => x;
    return {
      instruction: `mul.wide.${type} %0, %1, %2;`,
      registers: ["b64", "b32", "b32"],
      sources: [words(32, 1), words(32, 2)],
      wanted: (a, b) => value(a) * value(b),
    };
  }),
  {
    instruction: "mad.wide.s32 %0, %1, %2, %3;",
    registers: ["b64", "b32", "b32", "b64"],
    sources: [words(32, 1), words(32, 2), words(64, 3)],
    wanted: (a, b, c) => signed(32)(a) * signed(32)(b) + c,
  },
  ...[16, 32, 64].flatMap((bits): Case[] => {
    const registers = [`b${bits}`, `b${bits}`, "b32"];
    const sources = [words(bits, 1), counts(2 * bits, 2)];
    return [
      { instruction: `shl.b${bits} %0, %1, %2;`, registers, sources, wanted: (a, n) => a << n },
      { instruction: `shr.u${bits} %0, %1, %2;`, registers, sources, wanted: (a, n) => a >> n },
      {
        instruction: `shr.s${bits} %0, %1, %2;`,
        ...{ registers, sources },
        wanted: (a, n) => signed(bits)(a) >> n,
      },
    ];
  }),
  ...[32, 64].flatMap((bits): Case[] => [
    {
      instruction: `popc.b${bits} %0, %1;`,
      ...{ registers: ["b32", `b${bits}`], sources: [words(bits, 1)], wanted: popcount },
    },
    {
      instruction: `clz.b${bits} %0, %1;`,
      ...{ registers: ["b32", `b${bits}`], sources: [words(bits, 1)] },
      wanted: (a) => a === 0n ? BigInt(bits) : BigInt(bits - a.toString(2).length),
    },
    {
      instruction: `brev.b${bits} %0, %1;`,
      ...{ registers: [`b${bits}`, `b${bits}`], sources: [words(bits, 1)] },
      wanted: (a) => BigInt(`0b${[...a.toString(2).padStart(bits, "0")].reverse().join("")}`),
    },
    ...["s", "u"].map((sign): Case => ({
      instruction: `bfe.${sign}${bits} %0, %1, %2, %3;`,
      registers: [`b${bits}`, `b${bits}`, "b32", "b32"],
      sources: [words(bits, 1), counts(bits + 8, 2), counts(bits + 8, 3)],
      wanted: field(bits, sign === "s"),
    })),
    {
      instruction: `bfi.b${bits} %0, %1, %2, %3, %4;`,
      registers: [`b${bits}`, `b${bits}`, `b${bits}`, "b32", "b32"],
      sources: [words(bits, 1), words(bits, 2), counts(bits + 8, 3), counts(bits + 8, 4)],
      wanted: insert(bits),
    },
  ]),
  {
    instruction: "prmt.b32 %0, %1, %2, %3;",
    registers: ["b32", "b32", "b32", "b32"],
    sources: [words(32, 1), words(32, 2), words(32, 3)],
    wanted: (a, b, c) => bytes(a, b, nibbles(c)),
  },
  ...Object.entries({
    f4e: (n: number) => [n, n + 1, n + 2, n + 3],
    b4e: (n: number) => [n, (n + 7) % 8, (n + 6) % 8, (n + 5) % 8],
    rc8: (n: number) => [n, n, n, n],
    ecl: (n: number) => [n, Math.max(n, 1), Math.max(n, 2), 3],
    ecr: (n: number) => [0, Math.min(n, 1), Math.min(n, 2), n],
    rc16: (n: number) => n % 2 === 0 ? [0, 1, 0, 1] : [2, 3, 2, 3],
  }).map(([mode, picks]): Case => ({
    instruction: `prmt.b32.${mode} %0, %1, %2, %3;`,
    registers: ["b32", "b32", "b32", "b32"],
    sources: [words(32, 1), words(32, 2), words(32, 3)],
    wanted: (a, b, c) => bytes(a, b, picks(Number(c & 3n))),
  })),
  ...["wrap", "clamp"].flatMap((kind): Case[] => {
    const given = {
      registers: ["b32", "b32", "b32", "b32"],
      sources: [words(32, 1), words(32, 2), counts(70, 3)],
    };
    const count = (n: Big) => kind === "wrap" ? n & 31n : least(n, 32n);
    return [
      {
        instruction: `shf.l.${kind}.b32 %0, %1, %2, %3;`,
        ...given,
        wanted: (a, b, n) => (b << 32n | a) << count(n) >> 32n,
      },
      {
        instruction: `shf.r.${kind}.b32 %0, %1, %2, %3;`,
        ...given,
        wanted: (a, b, n) => (b << 32n | a) >> count(n),
      },
    ];
  }),
  ...[0x96, 0xe8, 0xca].map((table): Case => ({
    instruction: `lop3.b32 %0, %1, %2, %3, ${table};`,
    registers: ["b32", "b32", "b32", "b32"],
    sources: [words(32, 1), words(32, 2), words(32, 3)],
    wanted: (a, b, c) => {
      let out = 0n;
      for (let i = 0n; i < 32n; i++) {
        const row = (a >> i & 1n) << 2n | (b >> i & 1n) << 1n | c >> i & 1n;
        out |= (BigInt(table) >> row & 1n) << i;
      }
      return out;
    },
  })),
  ...["lt", "le", "gt", "ge", "eq", "ne"].flatMap((test) =>
    ["s16", "u16", "s32", "u32", "s64", "u64"].map((type): Case => {
      const bits = Number(type.slice(1));
      const value = type.startsWith("s") ? signed(bits) : (x: Big) => x;
      const tests: Record<string, (a: Big, b: Big) => boolean> = {
        ...{ lt: (a, b) => a < b, le: (a, b) => a <= b, gt: (a, b) => a > b },
        ...{ ge: (a, b) => a >= b, eq: (a, b) => a === b, ne: (a, b) => a !== b },
      };
      return {
        instruction: `setp.${test}.${type} %p, %1, %2; selp.u32 %0, 1, 0, %p;`,
        registers: ["b32", `b${bits}`, `b${bits}`],
        sources: [words(bits, 1), words(bits, 2)],
        wanted: (a, b) => tests[test](value(a), value(b)) ? 1n : 0n,
      };
    })
  ),
  ...["s8", "u8", "s16", "u16", "s32", "u32"].flatMap((from): Case[] => {
    const bits = Number(from.slice(1));
    const value = from.startsWith("s") ? signed(bits) : (x: Big) => BigInt.asUintN(bits, x);
    const source = bits === 32 ? "b32" : "b16";
    return ["s32", "u64"].map((to) => ({
      instruction: `cvt.${to}.${from} %0, %1;`,
      registers: [`b${to.slice(1)}`, source],
      sources: [words(bits === 32 ? 32 : 16, 1)],
      wanted: value,
    }));
  }),
  {
    instruction: "mov.b64 %0, {%1, %2, %3, %4};",
    registers: ["b64", "b16", "b16", "b16", "b16"],
    sources: [words(16, 1), words(16, 2), words(16, 3), words(16, 4)],
    wanted: (a, b, c, d) => d << 48n | c << 32n | b << 16n | a,
  },
  {
    instruction: "{ .reg .b16 x, y, z, w; mov.b64 {x, y, z, w}, %1; mov.b16 %0, z; }",
    registers: ["b16", "b64"],
    sources: [words(64, 1)],
    wanted: (a) => a >> 32n,
  },
  {
    instruction: "{ .reg .b16 x, y; mov.b32 {x, y}, %1; mov.b32 %0, {y, x}; }",
    registers: ["b32", "b32"],
    sources: [words(32, 1)],
    wanted: (a) => a << 16n | a >> 16n,
  },
  {
    instruction: "cvt.sat.s8.s32 %0, %1;",
    registers: ["b32", "b32"],
    sources: [words(32, 1)],
    wanted: (a) => most(-128n, least(127n, signed(32)(a))),
  },
];

for (const { instruction, registers, sources, wanted } of CASES) {
  Deno.test(`${instruction} by its definition, seed ${SEED}`, () => {
    const found = evaluate(instruction, { registers, sources });
    const bits = Number(registers[0].slice(1));
    found.forEach((value, i) => {
      const given = sources.map((values) => values[i]);
      const expected = BigInt.asUintN(bits, wanted(...given));
      assert.equal(value, expected, `${instruction} of ${given.map((x) => x.toString(16))}`);
    });
    assert.equal(found.length, COUNT);
  });
}
