/**
 * The file that tokenised data is kept in, so that it is tokenised once.
 *
 *     "PACACTOK" version order | tokens u32 | begins f64, hashes u32, files u32, lines u32 | figures as JSON | its length u32 | SHA-256
 *
 * The hash is of all before it. A file is named after what went into it, and takes its name by rename when it is whole; one that
 * is damaged is as good as none.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { finishPublishing, writeAll } from "../../formats/atomic.ts";
import { fileSize, join, readAt, withFile } from "../../formats/files.ts";
import { isObject, type JsonObject } from "../json.ts";
import {
  type DocumentIndex,
  FileTokens,
  IndexBuilder,
  TokenStore,
  wordsOf,
} from "./token_store.ts";
import type { Document } from "./document.ts";

const MAGIC = new TextEncoder().encode("PACACTOK");
const VERSION = 1;
const HEAD_BYTES = 16;
const HASH_BYTES = 32;
const TAIL_BYTES = 4 + HASH_BYTES;
const BUFFER_BYTES = 1 << 20;
const MAX_FIGURES_BYTES = 1 << 24;

/** Temporary files of runs that were killed are removed when they are this old. */
const STALE_MS = 24 * 3600 * 1000;

/** What a file holds. */
export interface Cached {
  readonly store: TokenStore;
  /** What was written beside the documents. */
  readonly figures: JsonObject;
}

/** Bytes of an array, no copy. */
function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The second word tells a machine of the other byte order. */
function headBytes(): Uint8Array {
  return new Uint8Array([...MAGIC, ...bytesOf(Uint32Array.of(VERSION, 0x01020304))]);
}

/** Writes documents to a file that appears when it is finished. */
export class CacheWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: Deno.FsFile;
  readonly #index = new IndexBuilder();
  readonly #hash: Hash = createHash("sha256");
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #used = 0;

  /**
   * Begins a file.
   * @param path Its final name
   * @throws {PacacError} io
   */
  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.${crypto.randomUUID()}.tmp`;
    const create = { write: true, createNew: true };
    this.#file = withFile(path, () => Deno.openSync(this.#temporary, create), "Cannot write");
    this.#write(headBytes());
  }

  /**
   * Adds a document.
   * @param document Ids and marks
   * @param from Number of its file, and its line
   * @throws {PacacError} io
   */
  add(document: Document, from: { readonly file: number; readonly line: number }): void {
    const words = wordsOf(document);
    this.#index.add(words, from);
    this.#write(bytesOf(words));
  }

  /**
   * Writes the rest, and gives the file its name.
   * @param figures What to keep beside the documents
   * @throws {PacacError} io
   */
  finish(figures: JsonObject): TokenStore {
    const count = this.#index.tokens;
    const index = this.#index.finish();
    for (const part of [index.begins, index.hashes, index.files, index.lines]) {
      this.#write(bytesOf(part));
    }
    const text = new TextEncoder().encode(
      JSON.stringify({ ...figures, tokens: count, documents: index.files.length }),
    );
    this.#write(text);
    this.#write(bytesOf(Uint32Array.of(text.length)));
    this.#flush();
    withFile(this.#path, () => {
      writeAll(this.#file, this.#hash.digest());
      finishPublishing(this.#file, { temporary: this.#temporary, path: this.#path });
    }, "Cannot write");
    return new TokenStore(index, new FileTokens(this.#path, { offset: HEAD_BYTES, count }));
  }

  /** Leaves no trace. */
  abandon(): void {
    try {
      this.#file.close();
    } catch {
      // It is closed where only the rename failed.
    }
    try {
      Deno.removeSync(this.#temporary);
    } catch {
      // What cannot be removed now is removed as stale.
    }
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + BUFFER_BYTES - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
      if (this.#used === BUFFER_BYTES) this.#flush();
    }
  }

  #flush(): void {
    const part = this.#buffer.subarray(0, this.#used);
    this.#hash.update(part);
    withFile(this.#path, () => writeAll(this.#file, part), "Cannot write");
    this.#used = 0;
  }
}

/**
 * Opens a file that was written before; nothing where there is none, or it is damaged.
 * @param path Its path
 * @throws {PacacError} io
 */
export function openCache(path: string): Cached | undefined {
  const size = fileSize(path);
  if (size === undefined || size < HEAD_BYTES + TAIL_BYTES) return undefined;
  return withFile(path, () => {
    using file = Deno.openSync(path);
    return isWhole(file, size) ? readIndex(file, path, size) : undefined;
  });
}

function isWhole(file: Deno.FsFile, size: number): boolean {
  const hash = createHash("sha256");
  const piece = new Uint8Array(BUFFER_BYTES);
  const end = size - HASH_BYTES;
  for (let at = 0; at < end;) {
    const part = piece.subarray(0, Math.min(piece.length, end - at));
    if (readAt(file, part, { offset: at }) !== part.length) return false;
    if (at === 0 && !headBytes().every((byte, i) => part[i] === byte)) return false;
    hash.update(part);
    at += part.length;
  }
  const stored = new Uint8Array(HASH_BYTES);
  readAt(file, stored, { offset: end });
  return hash.digest().every((byte, i) => stored[i] === byte);
}

/** The hash is right, so that what stands here was written by this module. Sizes are checked all the same. */
function readIndex(file: Deno.FsFile, path: string, size: number): Cached | undefined {
  const length = new Uint32Array(1);
  readAt(file, bytesOf(length), { offset: size - TAIL_BYTES });
  if (length[0] > Math.min(MAX_FIGURES_BYTES, size)) return undefined;
  const text = new Uint8Array(length[0]);
  readAt(file, text, { offset: size - TAIL_BYTES - text.length });
  const figures: unknown = JSON.parse(new TextDecoder().decode(text));
  if (!isObject(figures)) return undefined;
  const { tokens, documents } = figures;
  if (typeof tokens !== "number" || typeof documents !== "number") return undefined;
  const indexBytes = 8 * (documents + 1) + 4 * 4 * documents;
  if (HEAD_BYTES + 4 * tokens + indexBytes + text.length + TAIL_BYTES !== size) return undefined;
  let offset = HEAD_BYTES + 4 * tokens;
  const next = <T extends ArrayBufferView>(values: T): T => {
    readAt(file, bytesOf(values), { offset });
    offset += values.byteLength;
    return values;
  };
  const index: DocumentIndex = {
    begins: next(new Float64Array(documents + 1)),
    hashes: next(new Uint32Array(2 * documents)),
    files: next(new Uint32Array(documents)),
    lines: next(new Uint32Array(documents)),
  };
  const source = new FileTokens(path, { offset: HEAD_BYTES, count: tokens });
  return { store: new TokenStore(index, source), figures };
}

/**
 * Removes temporary files that killed runs left. Another process may be at it as well.
 * @param folder The cache's folder
 */
export function removeStale(folder: string): void {
  for (const { name, isFile } of withFile(folder, () => [...Deno.readDirSync(folder)])) {
    if (!isFile || !/^[0-9a-f]{64}\.tokens\.[0-9a-f-]{36}\.tmp$/.test(name)) continue;
    const path = join(folder, name);
    try {
      const changed = Deno.statSync(path).mtime?.getTime() ?? Date.now();
      if (Date.now() - changed > STALE_MS) Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
