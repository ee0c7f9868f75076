/**
 * A cursor over tokens: what both the module's and the body's grammar are read with.
 * @module
 */
import type { Token } from "./lexer.ts";
import { ptxError } from "./syntax.ts";

const END: Token = { text: "", line: 0 };

/** Reads tokens one by one. */
export class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  /** @param tokens The whole text */
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Whether all is read. */
  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The next token's text; "" at the end. */
  get next(): string {
    return (this.#tokens[this.#at] ?? END).text;
  }

  /** Line of the next token. */
  get line(): number {
    return (this.#tokens[this.#at] ?? this.#tokens.at(-1) ?? END).line;
  }

  /** The text after the next token. */
  get second(): string {
    return (this.#tokens[this.#at + 1] ?? END).text;
  }

  /** Takes a token. */
  take(): string {
    if (this.done) throw ptxError("the text ends in the middle", this.line);
    return this.#tokens[this.#at++].text;
  }

  /** Takes a token if it is this one. */
  accept(text: string): boolean {
    if (this.next !== text) return false;
    this.#at++;
    return true;
  }

  /** Takes this token or complains. */
  expect(text: string): void {
    if (!this.accept(text)) {
      throw ptxError(`"${text}" is wanted where "${this.next}" stands`, this.line);
    }
  }

  /** The rest of the line that the last token is on. */
  restOfLine(): string[] {
    const { line } = this.#tokens[this.#at - 1] ?? END;
    const words: string[] = [];
    while (!this.done && this.line === line) words.push(this.take());
    return words;
  }

  /** Skips a block in braces, the opening one taken already. */
  skipBlock(): void {
    for (let depth = 1; depth > 0;) {
      const text = this.take();
      if (text === "{") depth++;
      if (text === "}") depth--;
    }
  }

  /** A whole number with its sign. */
  integer(): bigint {
    const negative = this.accept("-");
    const { line } = this;
    const text = this.take().replace(/U$/, "");
    if (!/^(?:0[xX][0-9a-fA-F]+|\d+)$/.test(text)) throw ptxError(`"${text}" is no number`, line);
    return negative ? -BigInt(text) : BigInt(text);
  }

  /** A small number, as sizes and alignments are. */
  size(): number {
    const { line } = this;
    const value = this.integer();
    if (value < 0n || value > 0xffff_ffffn) throw ptxError(`size ${value} is out of range`, line);
    return Number(value);
  }
}
