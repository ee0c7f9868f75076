/**
 * Tokenised documents, in memory or in a file that is read by ranges.
 *
 * A token is 32 bits: its id, and the highest bit where it is trained on. What is kept of each document beside its tokens, 24
 * bytes, is in memory always.
 * @module
 */
import { invariant, type Place } from "../../errors.ts";
import { readAt, withFile } from "../../formats/files.ts";
import type { Document } from "./document.ts";

/** The bit of a token that is trained on. */
const SUPERVISED = 0x8000_0000;

/** Tokens of a page: a mebibyte. */
const PAGE = 256 * 1024;

/** Pages that are kept, the last used ones. */
const PAGES = 64;

/** What is kept of documents, by their numbers. */
export interface DocumentIndex {
  /** First token of each, and the end of the last, [n + 1]. */
  readonly begins: Float64Array;
  /** Two words of a hash of ids and marks, [n, 2]: equal documents have equal ones. */
  readonly hashes: Uint32Array;
  /** Number of the file that each is from, [n]. */
  readonly files: Uint32Array;
  /** Line that each is from, 0 where there is none, [n]. */
  readonly lines: Uint32Array;
}

/** Where tokens can be had. */
export interface TokenSource {
  /** Tokens of a range, marks with them. */
  readonly read: (begin: number, end: number) => Uint32Array;
}

/** Documents by number. */
export class TokenStore {
  /** What is known of each document. */
  readonly index: DocumentIndex;
  readonly #source: TokenSource;

  /**
   * Puts index and tokens together.
   * @param index Of the documents
   * @param source Of their tokens
   */
  constructor(index: DocumentIndex, source: TokenSource) {
    this.index = index;
    this.#source = source;
  }

  /** Number of documents. */
  get documents(): number {
    return this.index.files.length;
  }

  /**
   * Tokens of a document, however many of them fit into a row.
   * @param document Its number
   */
  lengthOf(document: number): number {
    return this.index.begins[document + 1] - this.index.begins[document];
  }

  /**
   * A document, its end left out where it is too long.
   * @param document Its number
   * @param limit Most tokens
   */
  read(document: number, limit = Infinity): Document {
    const begin = this.index.begins[document];
    const end = Math.min(begin + limit, this.index.begins[document + 1]);
    const words = this.#source.read(begin, end);
    const ids = new Int32Array(words.length), supervised = new Uint8Array(words.length);
    for (let t = 0; t < words.length; t++) {
      ids[t] = words[t] & ~SUPERVISED;
      supervised[t] = words[t] >>> 31;
    }
    return { ids, supervised };
  }
}

/**
 * A document's tokens in one word each.
 * @param document Ids and marks
 */
export function wordsOf({ ids, supervised }: Document): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(ids, (id, t) => supervised[t] === 1 ? (id | SUPERVISED) >>> 0 : id);
}

/** Takes documents one after another and makes their index. */
export class IndexBuilder {
  readonly #begins = new Grown(Float64Array, [0]);
  readonly #hashes = new Grown(Uint32Array);
  readonly #files = new Grown(Uint32Array);
  readonly #lines = new Grown(Uint32Array);
  #tokens = 0;

  /** Tokens so far. */
  get tokens(): number {
    return this.#tokens;
  }

  /**
   * Adds a document.
   * @param words Its tokens
   * @param from Number of its file, and its line
   */
  add(words: Uint32Array, { file, line }: { readonly file: number; readonly line: number }): void {
    this.#tokens += words.length;
    this.#begins.push(this.#tokens);
    for (const word of hashOf(words)) this.#hashes.push(word);
    this.#files.push(file);
    this.#lines.push(line);
  }

  /** The index of all that was added. */
  finish(): DocumentIndex {
    return {
      begins: this.#begins.finish(),
      hashes: this.#hashes.finish(),
      files: this.#files.finish(),
      lines: this.#lines.finish(),
    };
  }
}

type Numbers = Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A typed array that grows. */
class Grown<T extends Numbers> {
  readonly #make: new (length: number) => T;
  #values: T;
  #length = 0;

  constructor(make: new (length: number) => T, first: readonly number[] = []) {
    this.#make = make;
    this.#values = new make(1024);
    for (const value of first) this.push(value);
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new this.#make(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  finish(): T {
    const exact = new this.#make(this.#length);
    exact.set(this.#values.subarray(0, this.#length));
    return exact;
  }
}

/** 64 bits of a document: two rounds of multiplying and shifting with different constants. Not for adversaries. */
function hashOf(words: Uint32Array): [number, number] {
  let a = 0x9e3779b9 ^ words.length, b = 0x85ebca6b;
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0xcc9e2d51);
    b = (b << 13 | b >>> 19) + 0x6b64e653 | 0;
  }
  return [mixed(a), mixed(b)];
}

/** Every bit of the input moves every bit of the output (the end of MurmurHash3). */
function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Tokens in memory, as they come. */
export class MemoryTokens implements TokenSource {
  readonly #words = new Grown(Uint32Array);
  #all: Uint32Array | undefined;

  /**
   * Adds tokens.
   * @param words The tokens
   */
  write(words: Uint32Array): void {
    for (const word of words) this.#words.push(word);
  }

  /**
   * Tokens of a range.
   * @param begin The first
   * @param end Behind the last
   */
  read(begin: number, end: number): Uint32Array {
    this.#all ??= this.#words.finish();
    return this.#all.subarray(begin, end);
  }
}

/** Tokens in a file, by pages. The file is opened for each page anew, so that nothing has to be closed. */
export class FileTokens implements TokenSource {
  readonly #file: string;
  readonly #offset: number;
  readonly #count: number;
  readonly #pages = new Map<number, Uint32Array>();

  /**
   * Reads nothing yet.
   * @param file Its path
   * @param options Where in it the tokens begin, in bytes, and how many there are
   */
  constructor(
    file: string,
    { offset, count }: { readonly offset: number; readonly count: number },
  ) {
    this.#file = file;
    this.#offset = offset;
    this.#count = count;
  }

  /**
   * Tokens of a range.
   * @param begin The first
   * @param end Behind the last
   * @throws {PacacError} io
   */
  read(begin: number, end: number): Uint32Array {
    invariant(begin >= 0 && begin <= end && end <= this.#count, `tokens ${begin} to ${end}`);
    const words = new Uint32Array(end - begin);
    for (let at = begin; at < end;) {
      const page = Math.floor(at / PAGE), first = page * PAGE;
      const stop = Math.min(end, first + PAGE);
      words.set(this.#page(page).subarray(at - first, stop - first), at - begin);
      at = stop;
    }
    return words;
  }

  #page(number: number): Uint32Array {
    const known = this.#pages.get(number);
    if (known !== undefined) {
      // A Map keeps the order of insertion: the first is the one used longest ago.
      this.#pages.delete(number);
      this.#pages.set(number, known);
      return known;
    }
    const page = withFile(this.#file, () => this.#load(number));
    this.#pages.set(number, page);
    if (this.#pages.size > PAGES) {
      for (const oldest of this.#pages.keys()) {
        this.#pages.delete(oldest);
        break;
      }
    }
    return page;
  }

  #load(number: number): Uint32Array {
    const first = number * PAGE;
    const page = new Uint32Array(Math.min(PAGE, this.#count - first));
    const bytes = new Uint8Array(page.buffer);
    using file = Deno.openSync(this.#file);
    const offset = this.#offset + first * Uint32Array.BYTES_PER_ELEMENT;
    if (readAt(file, bytes, { offset }) === bytes.length) return page;
    throw new Deno.errors.UnexpectedEof("the file of tokens ends early");
  }
}

/**
 * Where a document is from.
 * @param index The index
 * @param document Its number
 * @param files Paths by number
 */
export function originOf(
  { files: numbers, lines }: DocumentIndex,
  document: number,
  files: readonly string[],
): Place {
  const line = lines[document];
  return { file: files[numbers[document]], ...(line === 0 ? {} : { line }) };
}
