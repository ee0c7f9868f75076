/**
 * Rows of a JSON array or of JSON lines, each with the place it came from, and their fields.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { isObject, type JsonObject, kindOf, messageOf } from "../json.ts";

/** A row of a data file. */
export interface Row {
  readonly value: JsonObject;
  readonly place: Place;
}

/**
 * The objects of a JSON array, or one object a line.
 * @param text The file's text
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid
 */
export function readRows(text: string, file: string): Row[] {
  return text.trimStart().startsWith("[") ? arrayRows(text, file) : lineRows(text, file);
}

function arrayRows(text: string, file: string): Row[] {
  const value = parse(text, { file });
  const items: unknown[] = Array.isArray(value) ? value : [value];
  return items.map((item, index) => row(item, { file, field: `[${index}]` }));
}

function lineRows(text: string, file: string): Row[] {
  const rows: Row[] = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    const place = { file, line: index + 1 };
    rows.push(row(parse(line, place), place));
  });
  return rows;
}

function parse(text: string, place: Place): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PacacError("data-invalid", `Cannot parse JSON: ${messageOf(cause)}`, {
      place,
      remedy: "mend the JSON text, or say the format with --format",
      cause,
    });
  }
}

function row(value: unknown, place: Place): Row {
  if (isObject(value)) return { value, place };
  throw new PacacError("data-invalid", `Cannot use the row: it is ${kindOf(value)}, no object`, {
    place,
    remedy: "make each row an object",
  });
}

/**
 * A place inside a row.
 * @param place The row's
 * @param name The field, `output` or `messages[0].role`
 */
export function fieldOf(place: Place, name: string): Place {
  return { ...place, field: place.field === undefined ? name : `${place.field}.${name}` };
}

/**
 * A field that must be a text.
 * @param value Object that holds it
 * @param name The field
 * @param options The place of the object; what stands for a missing field, where it may be missing
 * @throws {PacacError} data-invalid
 */
export function textField(
  value: JsonObject,
  name: string,
  { place, missing }: { readonly place: Place; readonly missing?: string },
): string {
  const field = Object.hasOwn(value, name) ? value[name] : undefined;
  if (field === undefined && missing !== undefined) return missing;
  if (typeof field === "string") return field;
  throw new PacacError(
    "data-invalid",
    `Cannot use the row: "${name}" is ${kindOf(field)}, no text`,
    {
      place: fieldOf(place, name),
      remedy: `give "${name}" a text, or remove the row`,
    },
  );
}
