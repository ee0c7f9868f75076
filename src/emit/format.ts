/**
 * Lays out generated C++ as people write it (clang-format, Google's style, 100 columns).
 *
 * Formatting takes longer than anything else of emission, and most texts were formatted before: a {@linkcode Memo} keeps them.
 * @module
 */
import { format } from "@wasm-fmt/clang-format";

/** Remembers texts by a key; src/build/cache.ts has one on disk. */
export interface Memo {
  /** The text kept under `key`, or what `make` gives, which is then kept. */
  text(key: string, make: () => string): string;
  /** The same where making takes its time. */
  textLater(key: string, make: () => Promise<string>): Promise<string>;
}

/** Style as clang-format reads it. */
const STYLE = JSON.stringify({ BasedOnStyle: "Google", ColumnLimit: 100 });

/** What a template keeps as it is: from the mark to the one that ends it. */
const AS_IT_IS = /^[ \t]*\/\/ clang-format off\n[^]*?^[ \t]*\/\/ clang-format on\n/gm;

/**
 * Formats C++. Between `// clang-format off` and `on` lines stay as they are; they are taken out before, because clang-format
 * needs seconds for a table of a thousand lines that it does not touch.
 * @param source The text
 * @param memo Where formatted texts are kept
 */
export function formatCpp(source: string, memo?: Memo): string {
  const make = () => {
    const kept: string[] = [];
    const rest = source.replace(AS_IT_IS, (part) => `// kept ${kept.push(part) - 1}\n`);
    return format(rest, "source.cpp", STYLE)
      .replace(/^[ \t]*\/\/ kept (\d+)\n/gm, (_, number: string) => kept[Number(number)]);
  };
  return memo === undefined ? make() : memo.text(`clang-format 23.1.0 ${STYLE}\n${source}`, make);
}
