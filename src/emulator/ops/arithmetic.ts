/**
 * Arithmetic opcodes: which family of types an instruction belongs to.
 * @module
 */
import type { Execute } from "../lanes.ts";
import type { Site } from "../operands.ts";
import type { Family } from "./decoder.ts";
import { float } from "./float.ts";
import { integer } from "./integer.ts";
import { packed } from "./packed.ts";

function byType(site: Site): Execute {
  if (/^b?f16/.test(site.type)) return packed(site);
  return /^f(?:32|64)$/.test(site.type) ? float(site) : integer(site);
}

/** Logic on predicates is logic on masks. */
function logic(site: Site): Execute {
  if (site.type !== "pred") return integer(site);
  const d = site.predicate(site.operand(0));
  const a = site.condition(site.operand(1));
  const b = site.arity > 2 ? site.condition(site.operand(2)) : a;
  const { name } = site.instruction;
  return ({ p, mask }) => {
    const x = p[a.index] ^ a.flip;
    const y = p[b.index] ^ b.flip;
    const value = name === "not" ? ~x : name === "and" ? x & y : name === "or" ? x | y : x ^ y;
    p[d] = p[d] & ~mask | value & mask;
  };
}

/** Arithmetic, logic, shifts and fields. */
export const ARITHMETIC: Family = {
  ...Object.fromEntries(
    ["add", "sub", "mul", "mad", "fma", "div", "rem", "min", "max", "abs", "neg", "ex2", "tanh"]
      .map((name) => [name, byType]),
  ),
  ...Object.fromEntries(
    ["sqrt", "rcp", "rsqrt", "lg2", "sin", "cos", "copysign"].map((name) => [name, float]),
  ),
  ...Object.fromEntries(["and", "or", "xor", "not"].map((name) => [name, logic])),
  ...Object.fromEntries(
    ["shl", "shr", "shf", "popc", "clz", "brev", "bfe", "bfi", "bfind", "prmt", "lop3", "sad"]
      .map((name) => [name, integer]),
  ),
  ...Object.fromEntries(["cnot", "mul24"].map((name) => [name, integer])),
};
