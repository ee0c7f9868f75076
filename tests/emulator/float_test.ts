/**
 * Float instructions against exact arithmetic: every rounding mode, ties, subnormals, overflow.
 * @module
 */
import assert from "node:assert/strict";
import { evaluate } from "./one_instruction.ts";
import { type Exact, exactOf, FORMATS, over, plus, root, rounded, times } from "./exact.ts";
import { randomNumbers } from "./support.ts";

const SEED = Number(Deno.env.get("PACAC_SEED") ?? 1);
const COUNT = 2048;
const MODES = ["rn", "rz", "rm", "rp"] as const;

/** Finite float32 bits: few bits of fraction, so that ties are common, and exponents near a centre. */
function operands(seed: number, centre: number): bigint[] {
  const random = randomNumbers(seed * 7919 + SEED);
  const whole = (below: number) => Math.floor((random() + 1) / 2 * below);
  return Array.from({ length: COUNT }, () => {
    const field = Math.min(254, Math.max(0, centre + whole(50) - 25));
    const fraction = whole(2) === 0 ? whole(2 ** 23) : whole(64) << whole(18);
    return BigInt(whole(2)) << 31n | BigInt(field) << 23n | BigInt(fraction & 0x7f_ffff);
  });
}

interface Case {
  readonly instruction: string;
  readonly arity: number;
  readonly exact: (values: readonly Exact[]) => Exact;
  /** Exponents of the sources. */
  readonly centre: number;
}

const CASES: readonly Case[] = MODES.flatMap((mode) => [
  {
    instruction: `add.${mode}.f32 %0, %1, %2;`,
    arity: 2,
    exact: ([a, b]) => plus(a, b),
    centre: 100,
  },
  {
    instruction: `mul.${mode}.f32 %0, %1, %2;`,
    arity: 2,
    exact: ([a, b]) => times(a, b),
    centre: 64,
  },
  {
    instruction: `mul.${mode}.f32 %0, %1, %2;`,
    arity: 2,
    exact: ([a, b]) => times(a, b),
    centre: 190,
  },
  {
    instruction: `fma.${mode}.f32 %0, %1, %2, %3;`,
    arity: 3,
    exact: ([a, b, c]) => plus(times(a, b), c),
    centre: 120,
  },
  {
    instruction: `fma.${mode}.f32 %0, %1, %2, %3;`,
    arity: 3,
    exact: ([a, b, c]) => plus(times(a, b), c),
    centre: 20,
  },
  {
    instruction: `div.${mode}.f32 %0, %1, %2;`,
    arity: 2,
    exact: ([a, b]) => over(a, b),
    centre: 120,
  },
  {
    instruction: `div.${mode}.f32 %0, %1, %2;`,
    arity: 2,
    exact: ([a, b]) => over(a, b),
    centre: 30,
  },
  {
    instruction: `rcp.${mode}.f32 %0, %1;`,
    arity: 1,
    exact: ([a]) => over({ mantissa: 1n, exponent: 0 }, a),
    centre: 230,
  },
  // Sources of another sign give NaN, and are left out.
  { instruction: `sqrt.${mode}.f32 %0, %1;`, arity: 1, exact: ([a]) => root(a), centre: 60 },
]);

for (const { instruction, arity, exact, centre } of CASES) {
  Deno.test(`${instruction} at exponents near ${centre}, seed ${SEED}`, () => {
    const sources = Array.from({ length: arity }, (_, i) => operands(i + 1, centre));
    const registers = ["f32", ...sources.map(() => "f32")];
    const found = evaluate(instruction, { registers, sources });
    const [, mode] = instruction.split(".");
    let compared = 0;
    found.forEach((bits, i) => {
      const given = sources.map((values) => exactOf(values[i], FORMATS.f32));
      if (given.some(({ mantissa }) => mantissa === 0n)) return;
      if (instruction.startsWith("sqrt") && given[0].mantissa < 0n) return;
      const value = exact(given);
      if (value.mantissa === 0n) return;
      compared++;
      const words = sources.map((values) => `0x${values[i].toString(16)}`).join(", ");
      assert.equal(bits, rounded(value, FORMATS.f32, mode), `${instruction} of ${words}`);
    });
    assert.ok(compared > COUNT / 3);
  });
}

for (const type of ["bf16", "f16"] as const) {
  for (const mode of MODES) {
    for (const centre of [20, 113, 127, 143, 240]) {
      Deno.test(`cvt.${mode}.${type}.f32 at exponents near ${centre}, seed ${SEED}`, () => {
        const [source] = [operands(centre, centre)];
        const found = evaluate(`cvt.${mode}.${type}.f32 %0, %1;`, {
          registers: ["b16", "f32"],
          sources: [source],
        });
        found.forEach((bits, i) => {
          const value = exactOf(source[i], FORMATS.f32);
          if (value.mantissa === 0n) return;
          const wanted = rounded(value, FORMATS[type], mode);
          assert.equal(bits, wanted, `0x${source[i].toString(16)}`);
        });
      });
    }
  }
  Deno.test(`fma.rn.${type}x2 rounds once, seed ${SEED}`, () => {
    const random = randomNumbers(SEED);
    const word = () => BigInt(Math.floor((random() + 1) / 2 * 2 ** 32));
    const middle = type === "bf16" ? 0x3f80n : 0x3c00n;
    // Near 1, where products of fractions tie.
    const one = () => middle + (word() & 0x7ffn) - 0x3ffn;
    const pair = () => one() | one() << 16n | word() & 0x8000_8000n;
    const sources = [0, 1, 2].map(() => Array.from({ length: COUNT }, pair));
    const registers = ["b32", "b32", "b32", "b32"];
    const found = evaluate(`fma.rn.${type}x2 %0, %1, %2, %3;`, { registers, sources });
    found.forEach((bits, i) => {
      for (const shift of [0n, 16n]) {
        const [a, b, c] = sources.map((values) =>
          exactOf(values[i] >> shift & 0xffffn, FORMATS[type])
        );
        const value = plus(times(a, b), c);
        if (value.mantissa === 0n) continue;
        assert.equal(bits >> shift & 0xffffn, rounded(value, FORMATS[type], "rn"));
      }
    });
  });
}

const float = (x: number) => BigInt(new Uint32Array(Float32Array.of(x).buffer)[0]);
const value = (bits: bigint) => new Float32Array(Uint32Array.of(Number(bits)).buffer)[0];
const unary = (instruction: string, inputs: readonly number[]) =>
  evaluate(instruction, { registers: ["f32", "f32"], sources: [inputs.map(float)] }).map(value);

Deno.test("cvt to whole numbers: ties, limits, NaN", () => {
  const inputs = [0.5, 1.5, 2.5, -0.5, -1.5, 2.7, -2.7, 3e9, -3e9, NaN, Infinity];
  const whole = (mode: string) =>
    evaluate(`cvt.${mode}.s32.f32 %0, %1;`, {
      registers: ["b32", "f32"],
      sources: [inputs.map(float)],
    }).map((bits) => Number(BigInt.asIntN(32, bits)));
  const top = [2147483647, -2147483648, 0, 2147483647];
  assert.deepEqual(whole("rni"), [0, 2, 2, 0, -2, 3, -3, ...top]);
  assert.deepEqual(whole("rzi"), [0, 1, 2, 0, -1, 2, -2, ...top]);
  assert.deepEqual(whole("rmi"), [0, 1, 2, -1, -2, 2, -3, ...top]);
  assert.deepEqual(whole("rpi"), [1, 2, 3, 0, -1, 3, -2, ...top]);
});

Deno.test("cvt from 64-bit integers to float32 rounds once", () => {
  // 2^53 + 1 below a tie of float32 and above it: rounding to double first would lose the 1.
  const base = 1n << 60n;
  const inputs = [base + (1n << 36n), base + (1n << 36n) + 1n, base + (1n << 36n) - 1n, -7n];
  const found = evaluate("cvt.rn.f32.s64 %0, %1;", {
    registers: ["f32", "b64"],
    sources: [inputs.map((x) => BigInt.asUintN(64, x))],
  }).map(value);
  assert.deepEqual(found, [2 ** 60, 2 ** 60 + 2 ** 37, 2 ** 60, -7]);
});

Deno.test("min and max lose NaN, .NaN keeps it, zeros have signs", () => {
  const pairs = [[NaN, 1], [1, NaN], [-0, 0], [0, -0], [2, 3]];
  const run = (instruction: string) =>
    evaluate(instruction, {
      registers: ["f32", "f32", "f32"],
      sources: [0, 1].map((k) => pairs.map((pair) => float(pair[k]))),
    }).map(value);
  assert.deepEqual(run("min.f32 %0, %1, %2;"), [1, 1, -0, -0, 2]);
  assert.deepEqual(run("max.f32 %0, %1, %2;"), [1, 1, 0, 0, 3]);
  assert.deepEqual(run("max.NaN.f32 %0, %1, %2;"), [NaN, NaN, 0, 0, 3]);
});

Deno.test("ftz flushes sources and results, sat clamps", () => {
  const tiny = 2 ** -130;
  assert.deepEqual(unary("add.ftz.f32 %0, %1, %1;", [tiny, 2 ** -126, 1]), [0, 2 ** -125, 2]);
  assert.deepEqual(unary("add.f32 %0, %1, %1;", [tiny]), [2 ** -129]);
  assert.deepEqual(unary("mul.ftz.f32 %0, %1, 0f3F000000;", [2 ** -126, -(2 ** -126)]), [0, -0]);
  assert.deepEqual(unary("add.sat.f32 %0, %1, 0f00000000;", [-1, 0.25, 2, NaN]), [0, 0.25, 1, 0]);
});

Deno.test("approximations are within their bounds", () => {
  const inputs = [0.1, 1, 3.7, 100];
  const near = (instruction: string, of: (x: number) => number) =>
    unary(instruction, inputs).forEach((found, i) => {
      const wanted = of(Math.fround(inputs[i]));
      assert.ok(Math.abs(found - wanted) <= 2 ** -22 * Math.abs(wanted), `${instruction} ${found}`);
    });
  near("ex2.approx.f32 %0, %1;", (x) => 2 ** x);
  near("rcp.approx.ftz.f32 %0, %1;", (x) => 1 / x);
  near("rsqrt.approx.f32 %0, %1;", (x) => 1 / Math.sqrt(x));
  near("sqrt.approx.f32 %0, %1;", Math.sqrt);
  near("tanh.approx.f32 %0, %1;", Math.tanh);
});

Deno.test("comparisons with NaN", () => {
  const pairs = [[NaN, 1], [1, 1], [1, 2], [2, 1]];
  const run = (test: string) =>
    evaluate(`setp.${test}.f32 %p, %1, %2; selp.b32 %0, 1, 0, %p;`, {
      registers: ["b32", "f32", "f32"],
      sources: [0, 1].map((k) => pairs.map((pair) => float(pair[k]))),
    }).map(Number);
  assert.deepEqual(run("lt"), [0, 0, 1, 0]);
  assert.deepEqual(run("ltu"), [1, 0, 1, 0]);
  assert.deepEqual(run("ne"), [0, 0, 1, 1]);
  assert.deepEqual(run("neu"), [1, 0, 1, 1]);
  assert.deepEqual(run("equ"), [1, 1, 0, 0]);
  assert.deepEqual(run("num"), [0, 1, 1, 1]);
  assert.deepEqual(run("nan"), [1, 0, 0, 0]);
});

Deno.test(`fma.rn.f64 rounds once, seed ${SEED}`, () => {
  const random = randomNumbers(SEED);
  const whole = (below: number) => BigInt(Math.floor((random() + 1) / 2 * below));
  // Few bits of fraction make ties; exponents are near each other.
  const word = () =>
    whole(2) << 63n | 1000n + whole(40) << 52n | whole(2 ** 26) << (whole(2) === 0n ? 26n : 3n);
  const sources = [0, 1, 2].map(() => Array.from({ length: COUNT }, word));
  const registers = ["f64", "f64", "f64", "f64"];
  const found = evaluate("fma.rn.f64 %0, %1, %2, %3;", { registers, sources });
  found.forEach((bits, i) => {
    const [a, b, c] = sources.map((values) => exactOf(values[i], FORMATS.f64));
    const value = plus(times(a, b), c);
    if (value.mantissa === 0n) return;
    assert.equal(bits, rounded(value, FORMATS.f64, "rn"), `round ${i}`);
  });
});
