/**
 * `.file` and `.loc`: from an instruction to the lines of the .cu file, through the calls that were inlined.
 * @module
 */
import type { SourceChain, SourcePlace } from "./syntax.ts";

/** An inlined place is known to be so from the `.loc` that opened it. */
interface Location {
  readonly file: string;
  readonly line: number;
  readonly callSite: string | undefined;
}

/** nvcc nests wrappers in wrappers, never this deep. */
const DEEPEST = 32;

/** The line table of a module. Files are named after the entries, so chains are filled in late. */
export class LineTable {
  readonly #files = new Map<string, string>();
  /** What `FILE LINE COLUMN` was inlined at, when it was last said. */
  readonly #callSites = new Map<string, string | undefined>();
  readonly #chains = new Map<string, { places: SourcePlace[]; raw: Location[] }>();

  /** `.file 1 "path"` @param words What follows the directive */
  file(words: readonly string[]): void {
    const [number, name = '""'] = words;
    this.#files.set(number, name.slice(1, -1));
    for (const { places, raw } of this.#chains.values()) {
      raw.forEach(({ file, line }, i) => places[i] = { file: this.#nameOf(file), line });
    }
  }

  /** `.loc 1 13 3, function_name X, inlined_at 1 4 72`. @param words What follows the directive */
  location(words: readonly string[]): SourceChain {
    const [file, line, column] = words;
    const at = words.indexOf("inlined_at");
    const callSite = at < 0 ? undefined : words.slice(at + 1, at + 4).join(" ");
    this.#callSites.set(`${file} ${line} ${column}`, callSite);
    const raw: Location[] = [{ file, line: Number(line), callSite }];
    for (let next = callSite; next !== undefined && raw.length < DEEPEST;) {
      const [f, l] = next.split(" ");
      const outer: string | undefined = this.#callSites.get(next);
      raw.push({ file: f, line: Number(l), callSite: outer });
      next = outer;
    }
    const key = raw.map((one) => `${one.file}:${one.line}`).join(" ");
    const known = this.#chains.get(key);
    if (known !== undefined) return known.places;
    const places = raw.map((one) => ({ file: this.#nameOf(one.file), line: one.line }));
    this.#chains.set(key, { places, raw });
    return places;
  }

  #nameOf(number: string): string {
    return this.#files.get(number) ?? `file ${number}`;
  }
}
