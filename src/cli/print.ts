/**
 * Output: data goes to standard output, everything said on the way to standard error.
 * @module
 */
// deno-lint-ignore-file no-console -- the one place that may print
import process from "node:process";
import { styleText } from "node:util";

/**
 * Prints data to standard output.
 * @param text Lines
 */
export function print(text: string): void {
  console.log(text);
}

/**
 * Says something on standard error.
 * @param text Lines
 */
export function note(text: string): void {
  console.error(text);
}

/**
 * A heading for standard output, bold on a terminal that has colours.
 * @param text The heading
 */
export function heading(text: string): string {
  return styleText("bold", text, { stream: process.stdout });
}

/**
 * Something of less importance for standard error, dim on a terminal.
 * @param text The text
 */
export function aside(text: string): string {
  return styleText("dim", text, { stream: process.stderr });
}

/**
 * Rows as aligned columns: the first to the left, the others to the right.
 * @param rows Cells
 */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  }
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/**
 * A duration for a person: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
 * @param seconds Its length
 */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => `${value}`.padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/**
 * A size for a person.
 * @param bytes Its bytes
 */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}

/**
 * A share as percent.
 * @param share 0 to 1
 */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * A count with separators of thousands.
 * @param value The count
 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/**
 * A word as a POSIX shell reads it.
 * @param word Any text
 */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
