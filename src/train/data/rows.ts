/**
 * Rows of a data file, each with the place it came from, and their fields.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { kindOf, messageOf } from "../json.ts";

/** A row of a data file. */
export interface Row {
  /** Its fields. */
  readonly value: Readonly<Record<string, unknown>>;
  /** File, line, and number in an array. */
  readonly place: Place;
  /** Names that fields have in the file, by the names that the format knows them by, where a map was given. */
  readonly names?: ReadonlyMap<string, string>;
}

/** A row that could not be had, and why. */
export interface BadRow {
  readonly fault: PacacError;
}

/** What containers are read to. */
export type RowStream = AsyncGenerator<Row | BadRow, void, undefined>;

/** Bytes of the longest row: a file without line breaks is no reason to fill the memory. */
export const MAX_ROW_BYTES = 64 * 1024 * 1024;

/**
 * Parses JSON.
 * @param text The text
 * @param place Where it stands
 * @throws {PacacError} data-invalid
 */
export function parseJson(text: string, place: Place): unknown {
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

/**
 * A place inside a row.
 * @param place The row's
 * @param name The field, `output` or `messages[0].role`
 */
export function fieldOf(place: Place, name: string): Place {
  return { ...place, field: place.field === undefined ? name : `${place.field}.${name}` };
}

/**
 * The place of a row's field, by the name that it has in the file.
 * @param row The row
 * @param name The name that the format knows it by
 */
export function placeOf(row: Row, name: string): Place {
  return fieldOf(row.place, row.names?.get(name) ?? name);
}

/**
 * A field's value; undefined where the row has none.
 * @param row The row, or an object inside it
 * @param name The field
 */
export function fieldValue({ value }: Row, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/**
 * A field that must be a text.
 * @param row The row, or an object inside it
 * @param name The field
 * @param options What stands for a missing field, where it may be missing
 * @throws {PacacError} data-invalid
 */
export function textField(
  row: Row,
  name: string,
  { missing }: { readonly missing?: string } = {},
): string {
  const field = fieldValue(row, name);
  if ((field === undefined || field === null) && missing !== undefined) return missing;
  if (typeof field === "string") return field;
  const shown = row.names?.get(name) ?? name;
  throw new PacacError(
    "data-invalid",
    `Cannot use the row: "${shown}" is ${kindOf(field)}, no text`,
    { place: placeOf(row, name), remedy: `give "${shown}" a text, or remove the row` },
  );
}

/**
 * Gives fields the names of a map; fields that the map does not name stay, and so does a row that has none of its fields, as one
 * of another file may.
 * @param row The row
 * @param map From names in the file to names of the format
 * @throws {PacacError} data-invalid, where the row lacks one of the named fields
 */
export function renameFields(row: Row, map: ReadonlyMap<string, string>): Row {
  if (![...map.keys()].some((from) => Object.hasOwn(row.value, from))) return row;
  const names = new Map<string, string>();
  const fields = new Map(Object.entries(row.value));
  for (const [from, to] of map) {
    if (!Object.hasOwn(row.value, from)) {
      throw new PacacError("data-invalid", `Cannot map the field "${from}": the row has none`, {
        place: fieldOf(row.place, from),
        remedy: `its fields are ${Object.keys(row.value).slice(0, 20).join(", ")}`,
      });
    }
    names.set(to, from);
    fields.set(to, row.value[from]);
  }
  return { value: Object.fromEntries(fields), place: row.place, names };
}
