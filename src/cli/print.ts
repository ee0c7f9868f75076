/**
 * Output: data goes to standard output, everything said on the way to standard error.
 * @module
 */
// deno-lint-ignore-file no-console -- the one place that may print
import process from "node:process";
import { styleText } from "node:util";

export { duration, grouped, megabytes, percent } from "../report/numbers.ts";

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
 * A word as a POSIX shell reads it.
 * @param word Any text
 */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
