/**
 * The headers that a source includes, with those that these include: object files depend on their texts.
 * @module
 */
import { keyOf } from "./cache.ts";
import { NATIVE } from "./toolchain.ts";

/** Hashes sources together with the texts of pacac's headers that they reach. Files are read once. */
export class Headers {
  readonly #root: string;
  readonly #texts = new Map<string, { text: string; includes: readonly string[] } | undefined>();

  /** @param root The folder that `#include "..."` is relative to */
  constructor(root: string = NATIVE) {
    this.#root = root;
  }

  /**
   * A hash of a source and of every header that it reaches.
   * @param source C++
   */
  hash(source: string): string {
    const reached = this.reached(source);
    const names = [...reached.keys()].sort();
    return keyOf(source, ...names.flatMap((name) => [name, reached.get(name) ?? ""]));
  }

  /**
   * The headers that a source reaches: text by name.
   * @param source C++
   */
  reached(source: string): ReadonlyMap<string, string> {
    const reached = new Map<string, string>();
    const open = [...includesOf(source)];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const header = this.#read(name);
      if (header === undefined || reached.has(name)) continue;
      reached.set(name, header.text);
      open.push(...header.includes);
    }
    return reached;
  }

  /** Undefined where it is no header of pacac's own: the compiler's version stands for those. */
  #read(name: string): { text: string; includes: readonly string[] } | undefined {
    if (this.#texts.has(name)) return this.#texts.get(name);
    let header: { text: string; includes: readonly string[] } | undefined;
    try {
      const text = Deno.readTextFileSync(`${this.#root}/${name}`);
      header = { text, includes: includesOf(text) };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    this.#texts.set(name, header);
    return header;
  }
}

/** Also those of branches not taken: a few rebuilds too many are cheap, one too few is a wrong program. */
function includesOf(source: string): string[] {
  return [...source.matchAll(/^[ \t]*#[ \t]*include[ \t]*"([^"]+)"/gm)].map((match) => match[1]);
}
