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

/**
 * Formats C++.
 * @param source The text
 * @param memo Where formatted texts are kept
 */
export function formatCpp(source: string, memo?: Memo): string {
  const make = () => format(source, "source.cpp", STYLE);
  return memo === undefined ? make() : memo.text(`clang-format 23.1.0 ${STYLE}\n${source}`, make);
}
