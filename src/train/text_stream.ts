/**
 * Text from tokens as they come: whole characters only, and nothing of a stop string.
 *
 * A character may be spread over several tokens, so a piece is shown when the text no longer ends within one. What a decoder does at
 * a text's start (dropping a space) must not happen at each piece: pieces are differences of two decodings that begin at the
 * same token, a few back.
 * @module
 */
import type { Tokenizer } from "./tokenizer.ts";

/** Turns tokens into text to show. */
export class TextStream {
  readonly #tokenizer: Pick<Tokenizer, "decode">;
  readonly #stops: readonly string[];
  #ids: number[] = [];
  /** Tokens of `#ids` whose text was taken already. */
  #taken = 0;
  /** Text that may be the beginning of a stop string. */
  #held = "";
  #stopped = false;

  /**
   * Begins a text.
   * @param tokenizer The model's tokenizer
   * @param stops Strings that end the text, none of them empty
   */
  constructor(tokenizer: Pick<Tokenizer, "decode">, stops: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Whether a stop string came. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * The text that can be shown now that this token has come; often "".
   * @param id The token
   */
  push(id: number): string {
    this.#ids.push(id);
    const fresh = this.#fresh();
    if (fresh === "" || fresh.endsWith("\ufffd")) return "";
    this.#ids = this.#ids.slice(this.#taken);
    this.#taken = this.#ids.length;
    return this.#release(fresh);
  }

  /** What is left when no token follows: half a character is shown as U+FFFD. */
  end(): string {
    if (this.#stopped) return "";
    const rest = this.#release(this.#fresh());
    this.#ids = [];
    this.#taken = 0;
    const held = this.#held;
    this.#held = "";
    return this.#stopped ? rest : rest + held;
  }

  #fresh(): string {
    const shown = this.#tokenizer.decode(this.#ids.slice(0, this.#taken));
    return this.#tokenizer.decode(this.#ids).slice(shown.length);
  }

  #release(fresh: string): string {
    const text = this.#held + fresh;
    const ends = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (ends.length > 0) {
      this.#stopped = true;
      this.#held = "";
      return text.slice(0, Math.min(...ends));
    }
    const held = Math.max(0, ...this.#stops.map((stop) => beginningOf(stop, text)));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function beginningOf(stop: string, text: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (stop.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
