/**
 * Learns a byte-level BPE vocabulary from text and writes it as a Hugging Face tokenizer.json (Sennrich et al. 2016).
 *
 * It is for small models of one's own, as models/tiny.ts: vocabularies of a few hundred merges, texts of a few megabytes.
 * @module
 */

/** What {@linkcode learnBpe} takes. */
export interface BpeOptions {
  /** Bytes, special tokens and merges together. */
  readonly vocabSize: number;
  /** Special tokens; they get the first ids. */
  readonly special: readonly string[];
}

/** Pieces that merges stay within, as GPT-2 cuts text: contractions, words, numbers, signs, spaces. */
const PIECES = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * A printable stand-in for each byte, as GPT-2's vocabularies write bytes: printable Latin-1 stands for itself, the rest
 * follows from U+0100 on.
 */
function byteLetters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

interface Word {
  symbols: string[];
  readonly count: number;
}

/**
 * Learns merges: the most frequent pair of neighbours first, ties by the pair's text, so that the result is always the same.
 * @param text The text
 * @param options Size and special tokens
 * @returns A tokenizer.json as an object
 */
export function learnBpe(text: string, options: BpeOptions): Record<string, unknown> {
  const letters = byteLetters();
  const words = wordsOf(text, letters);
  const tokens = [...options.special, ...letters];
  const merges: string[][] = [];
  while (tokens.length < options.vocabSize) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    merges.push(best);
    tokens.push(best.join(""));
    words.forEach((word) => merge(word, best));
  }
  return tokenizerJson(tokens, { merges, special: options.special });
}

function wordsOf(text: string, letters: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  for (const [piece] of text.matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  const encoder = new TextEncoder();
  return [...counts].map(([piece, count]) => ({
    symbols: [...encoder.encode(piece)].map((byte) => letters[byte]),
    count,
  }));
}

function mostFrequentPair(words: readonly Word[]): string[] | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best: string | undefined;
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== undefined && pair < best)) {
      [best, most] = [pair, count];
    }
  }
  return best?.split(" ");
}

function merge(word: Word, [left, right]: readonly string[]): void {
  if (!word.symbols.includes(left)) return;
  const merged: string[] = [];
  for (let i = 0; i < word.symbols.length; i++) {
    const hit = word.symbols[i] === left && word.symbols[i + 1] === right;
    merged.push(hit ? left + right : word.symbols[i]);
    if (hit) i++;
  }
  word.symbols = merged;
}

function tokenizerJson(
  tokens: readonly string[],
  { merges, special }: {
    readonly merges: readonly string[][];
    readonly special: readonly string[];
  },
): Record<string, unknown> {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
