/**
 * Tells the format of a data file by what is in it.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { isObject } from "../json.ts";
import { readRows } from "./rows.ts";

/** Formats of data files. */
export const DATA_FORMATS = ["alpaca", "messages", "text"] as const;

/** One of {@linkcode DATA_FORMATS}. */
export type DataFormat = typeof DATA_FORMATS[number];

/**
 * The format of a data file: JSON rows by the fields of the first, anything else is text.
 * @param text The file's text
 * @param file The file's name, for messages
 * @throws {PacacError} data-invalid, where it is JSON of another kind
 */
export function detectFormat(text: string, file: string): DataFormat {
  if (!looksLikeRows(text)) return "text";
  const [first] = readRows(text, file);
  const fields = first === undefined ? [] : Object.keys(first.value);
  if (fields.includes("messages")) return "messages";
  if (fields.includes("instruction") && fields.includes("output")) return "alpaca";
  const found = fields.length === 0 ? "no row" : `fields ${fields.join(", ")}`;
  throw new PacacError("data-invalid", `Cannot tell the format: the first row has ${found}`, {
    place: first?.place ?? { file },
    remedy: "give rows instruction and output (alpaca) or messages; or say --format text",
  });
}

/** Whether a text begins as an array of objects, or its first line is an object. A text may begin with a bracket. */
function looksLikeRows(text: string): boolean {
  if (/^\s*\[\s*(\{|\])/.test(text)) return true;
  const [line] = text.trimStart().split("\n", 1);
  if (!line.startsWith("{")) return false;
  try {
    return isObject(JSON.parse(line));
  } catch {
    return false;
  }
}
