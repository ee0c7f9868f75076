/**
 * What a family of opcodes gives: a decoder for each name, from an instruction to what runs it.
 * @module
 */
import type { Execute } from "../lanes.ts";
import type { Site } from "../operands.ts";

/** Decodes an instruction; what it does not know it refuses with `site.fail`. */
export type Decoder = (site: Site) => Execute;

/** Decoders by an opcode's first word. */
export type Family = Readonly<Record<string, Decoder>>;

/** Kept copies of loops, so that all instructions of an opcode share compiled code. */
const made = new Map<string, unknown>();

/**
 * Makes a loop once for a key.
 * @param key Opcode and types
 * @param make Makes it
 */
export function once<T>(key: string, make: () => T): T {
  const known = made.get(key);
  if (known !== undefined) return known as T;
  const value = make();
  made.set(key, value);
  return value;
}

/**
 * The first key of a table that is there.
 * @param table Operations by name
 * @param keys From the most to the least special
 */
export function find<T>(
  table: Readonly<Record<string, T>>,
  keys: readonly string[],
): { readonly key: string; readonly value: T } | undefined {
  for (const key of keys) if (key in table) return { key, value: table[key] };
  return undefined;
}
