/**
 * How references read operands and attributes: by name, with the type they need, or a bug.
 * @module
 */
import { invariant } from "../errors.ts";
import type { Attribute } from "../graph/graph.ts";
import type { Operands } from "./op.ts";

/**
 * A float operand.
 * @param operands The operands
 * @param name Its name
 */
export function f64(operands: Operands, name: string): Float64Array {
  const values = operands[name];
  invariant(values instanceof Float64Array, `operand ${name} is not float64`);
  return values;
}

/**
 * An integer operand.
 * @param operands The operands
 * @param name Its name
 */
export function i32(operands: Operands, name: string): Int32Array {
  const values = operands[name];
  invariant(values instanceof Int32Array, `operand ${name} is not int32`);
  return values;
}

/**
 * A float operand that may be absent.
 * @param operands The operands
 * @param name Its name
 */
export function maybe(operands: Operands, name: string): Float64Array | undefined {
  return name in operands ? f64(operands, name) : undefined;
}

/**
 * A numeric attribute.
 * @param attributes The attributes
 * @param name Its name
 */
export function num(attributes: Readonly<Record<string, Attribute>>, name: string): number {
  const value = attributes[name];
  invariant(typeof value === "number", `attribute ${name} is not a number`);
  return value;
}
