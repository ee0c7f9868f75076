/**
 * `.file` and `.loc`: from an instruction to the lines of the .cu file, through the calls that were inlined.
 * @module
 */
import type { SourceChain, SourcePlace } from "./syntax.ts";

/** nvcc nests wrappers in wrappers, never this deep. */
const DEEPEST = 32;

/** Where nvcc has its headers. */
const TOOLKIT = /\/targets\/[^/]+\/include\/|\/cuda[^/]*\/include\//;

/** The line table of a module. */
export class LineTable {
  readonly #files = new Map<string, string>();
  /** What `FILE LINE COLUMN` was inlined at, when it was last said. */
  readonly #callSites = new Map<string, string | undefined>();
  /** Chains are many times the same: one array each. */
  readonly #chains = new Map<string, SourceChain>();

  /** @param text The module: nvcc names its files at the end */
  constructor(text: string) {
    for (const [, number, name] of text.matchAll(/^\s*\.file\s+(\d+)\s+"([^"\n]*)"/gm)) {
      this.#files.set(number, name);
    }
  }

  /** `.loc 1 13 3, function_name X, inlined_at 1 4 72`. @param words What follows the directive */
  location(words: readonly string[]): SourceChain {
    const at = words.indexOf("inlined_at");
    const here = words.slice(0, 3).join(" ");
    this.#callSites.set(here, at < 0 ? undefined : words.slice(at + 1, at + 4).join(" "));
    const places: SourcePlace[] = [];
    let next: string | undefined = here;
    while (next !== undefined && places.length < DEEPEST) {
      const [file, line] = next.split(" ");
      places.push({ file: this.#files.get(file) ?? `file ${file}`, line: Number(line) });
      next = this.#callSites.get(next);
    }
    // Wrappers of the toolkit's headers say nothing that the line which calls them does not.
    const own = places.filter(({ file }) => !TOOLKIT.test(file));
    const shown = own.length > 0 ? own : places;
    const key = shown.map(({ file, line }) => `${file}:${line}`).join(" ");
    const known = this.#chains.get(key) ?? shown;
    this.#chains.set(key, known);
    return known;
  }
}
