/**
 * Reading JSON that others wrote: narrow an unknown value step by step, without casts.
 * @module
 */

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Whether a value is a JSON object (no array, not null).
 * @param value Any value
 */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What kind of JSON value it is, for messages.
 * @param value Any value
 */
export function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  return `a ${typeof value}`;
}

/**
 * The message of anything that was thrown.
 * @param error What a catch clause got
 */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
