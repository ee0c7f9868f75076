/**
 * Loads data: files are listed and hashed, tokenised once, kept where a cache is named, and laid into rows.
 * @module
 */
import { stat } from "node:fs/promises";
import { PacacError } from "../../errors.ts";
import { makeFolder } from "../../formats/atomic.ts";
import { join } from "../../formats/files.ts";
import type { JsonObject } from "../json.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { hashOfFile } from "./bytes.ts";
import type { TrainOn } from "./document.ts";
import type { DataFormat } from "./formats.ts";
import { type DataIdentity, type FileIdentity, hashOf, identityOf } from "./identity.ts";
import { type DataInput, listFiles } from "./inputs.ts";
import type { PackStrategy } from "./layout.ts";
import { mmluSurroundings } from "./mmlu.ts";
import { CacheWriter, openCache, removeStale } from "./token_cache.ts";
import { TokenRows, type TokenRowsOptions } from "./token_rows.ts";
import { IndexBuilder, MemoryTokens, TokenStore, wordsOf } from "./token_store.ts";
import { type DocumentSink, type FileReport, FileTokenizer, type SkippedRow } from "./tokenize.ts";

/** How far reading has come. */
export interface DataProgress {
  /** What is done. */
  readonly stage: "hash" | "tokenize";
  /** Bytes read, as they lie on the disk. */
  readonly bytes: number;
  /** Bytes there are. */
  readonly totalBytes: number;
  /** Rows made into tokens. */
  readonly rows: number;
}

/** What {@linkcode loadData} takes beside the inputs. */
export interface DataOptions {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Tokens of a row. */
  readonly seqLen: number;
  /** Found by content where it is not said. */
  readonly format?: DataFormat | undefined;
  /** From names of fields in the files to names of the format. */
  readonly map?: ReadonlyMap<string, string>;
  /** Default `answers`. */
  readonly trainOn?: TrainOn;
  /** Rows that may be bad and are passed over; none where it is not said. */
  readonly skipBad?: number;
  /** Best fit where it is not said; plain texts alone stay in order. */
  readonly strategy?: PackStrategy;
  /** Share of documents, by their hash, that is kept apart for validation. */
  readonly validationShare?: number;
  /** Folder for tokenised data; it is kept in memory where none is named. */
  readonly cache?: string;
  /** Ends the loading: the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /** Told about ten times a second. */
  readonly onProgress?: (progress: DataProgress) => void;
}

/** Rows, and what they were made of. */
export interface LoadedData {
  /** Rows to train on. */
  readonly train: TokenRows;
  /** Rows that were kept apart. */
  readonly validation?: TokenRows;
  /** The formats that were read. */
  readonly formats: readonly string[];
  /** What was found in each file. */
  readonly files: readonly FileReport[];
  /** Rows that were passed over. */
  readonly skipped: readonly SkippedRow[];
  /** All documents. */
  readonly store: TokenStore;
  /** What it is: a run goes on only with the same. */
  readonly identity: DataIdentity;
  /** Whether tokens came from the cache. */
  readonly cached: boolean;
}

/** Between turns that signals and timers are given. */
const TURN_MS = 100;

/**
 * Reads data files and lays their documents into rows.
 * @param inputs A path, or files and folders with weights
 * @param options Tokenizer, length of a row, format, cache
 * @throws {PacacError} io, data-invalid, tokenizer-invalid
 */
export async function loadData(
  inputs: string | readonly DataInput[],
  options: DataOptions,
): Promise<LoadedData> {
  const list = typeof inputs === "string" ? [{ path: inputs }] : inputs;
  const perInput = await Promise.all(list.map(({ path, files }) => files ?? listFiles(path)));
  const paths = perInput.flat();
  const progress = new Turns(paths, options);
  const files = await identify(paths, progress, options);
  const tokenized = await tokenizedOf(files, progress, options);
  const known = files.map(({ file, sha256 }) => ({ file, sha256 }));
  const identity = identityOf(known, options.tokenizer.fingerprint, {
    ...readingOf(options),
    strategy: options.strategy ?? null,
    validationShare: options.validationShare ?? 0,
    weights: list.map(({ weight }) => weight ?? null),
    filesOfInputs: perInput.map(({ length }) => length),
  });
  const inputOf = perInput.flatMap((some, input) => some.map(() => input));
  const mix = list.length > 1 && list.some(({ weight }) => weight !== undefined)
    ? { mix: { weights: list.map(({ weight }) => weight ?? 1), inputOf } }
    : {};
  const { reports } = tokenized;
  const onlyProse = reports.every(({ container }) => container === "text");
  const rowOptions: TokenRowsOptions = {
    seqLen: options.seqLen,
    strategy: onlyProse ? "sequential" : options.strategy ?? "best-fit",
    padId: options.tokenizer.padId ?? 0,
    files: paths,
    ...mix,
  };
  return {
    ...splitRows(tokenized.store, rowOptions, options.validationShare ?? 0),
    formats: [...new Set(reports.map(({ format }) => format))],
    files: reports,
    skipped: tokenized.skipped,
    store: tokenized.store,
    identity,
    cached: tokenized.cached,
  };
}

/** Documents whose hash falls into the share go to validation: equal ones to the same side, whatever else the files hold. */
function splitRows(
  store: TokenStore,
  options: TokenRowsOptions,
  share: number,
): { train: TokenRows; validation?: TokenRows } {
  if (share === 0) return { train: new TokenRows(store, options) };
  const apart = (document: number) => store.index.hashes[2 * document] < share * 2 ** 32;
  const train = new TokenRows(store, { ...options, takes: (document) => !apart(document) });
  try {
    const { mix: _, ...whole } = options;
    return { train, validation: new TokenRows(store, { ...whole, takes: apart }) };
  } catch (cause) {
    if (!(cause instanceof PacacError) || cause.code !== "data-invalid") throw cause;
    throw new PacacError("data-invalid", "Cannot validate: no document falls into the share", {
      remedy: `take a larger share than ${share} of these ${store.documents} documents`,
      cause,
    });
  }
}

/** What of the options decides about tokens. */
function readingOf(
  { format, map, trainOn, skipBad, seqLen }: DataOptions,
): JsonObject {
  return {
    format: format ?? null,
    map: [...map ?? []],
    trainOn: trainOn ?? "answers",
    skipBad: skipBad ?? 0,
    seqLen,
  };
}

interface Tokenized {
  readonly store: TokenStore;
  readonly reports: readonly FileReport[];
  readonly skipped: readonly SkippedRow[];
  readonly cached: boolean;
}

/** Tokens from the cache, or made now. */
async function tokenizedOf(
  files: readonly StampedFile[],
  progress: Turns,
  options: DataOptions,
): Promise<Tokenized> {
  const { cache, tokenizer } = options;
  if (cache === undefined || tokenizer.fingerprint === "") {
    const builder = new IndexBuilder(), tokens = new MemoryTokens();
    const sink: DocumentSink = {
      add(document, from) {
        const words = wordsOf(document);
        builder.add(words, from);
        tokens.write(words);
      },
    };
    const made = await tokenizeFiles(files, sink, { progress, options });
    return { ...made, store: new TokenStore(builder.finish(), tokens), cached: false };
  }
  makeFolder(cache);
  const names = files.map(({ file }) => file.slice(file.lastIndexOf("/") + 1));
  const { fingerprint } = identityOf(files, tokenizer.fingerprint, {
    ...readingOf(options),
    names,
    examples: await examplesOf(files),
  });
  const path = join(cache, `${fingerprint}.tokens`);
  return reopened(path, files) ?? await written(path, files, { progress, options });
}

function reopened(path: string, files: readonly FileIdentity[]): Tokenized | undefined {
  const found = openCache(path);
  if (found === undefined) return undefined;
  const { reports, skipped } = found.figures;
  if (!Array.isArray(reports) || !Array.isArray(skipped)) return undefined;
  // Paths are those of now: the files may have moved.
  const moved = reports.map((report: FileReport, i) => ({ ...report, file: files[i].file }));
  return { store: found.store, reports: moved, skipped, cached: true };
}

interface Work {
  readonly progress: Turns;
  readonly options: DataOptions;
}

async function written(
  path: string,
  files: readonly StampedFile[],
  work: Work,
): Promise<Tokenized> {
  removeStale(path.slice(0, path.lastIndexOf("/")));
  const writer = new CacheWriter(path);
  try {
    const made = await tokenizeFiles(files, writer, work);
    return { ...made, store: writer.finish({ ...made }), cached: false };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

async function tokenizeFiles(
  files: readonly StampedFile[],
  sink: DocumentSink,
  { progress, options }: Work,
): Promise<{ reports: FileReport[]; skipped: readonly SkippedRow[] }> {
  progress.begin("tokenize");
  const { tokenizer, seqLen, format, map, trainOn, skipBad, signal } = options;
  const reader = new FileTokenizer({
    tokenizer,
    seqLen,
    format,
    signal,
    ...(map === undefined ? {} : { map }),
    ...(trainOn === undefined ? {} : { trainOn }),
    ...(skipBad === undefined ? {} : { skipBad }),
    onRead: (bytes) => progress.read(bytes),
    onRow: () => progress.row(),
  }, sink);
  const reports: FileReport[] = [];
  for (const [number, { file, stamp }] of files.entries()) {
    reports.push(await reader.read(file, number));
    if (await stampOf(file) !== stamp) {
      throw new PacacError("data-invalid", "Cannot use the data: the file changed meanwhile", {
        place: { file },
        remedy: "try again when nothing writes to it",
      });
    }
  }
  return { reports, skipped: reader.skipped };
}

async function identify(
  paths: readonly string[],
  progress: Turns,
  { signal }: DataOptions,
): Promise<StampedFile[]> {
  progress.begin("hash");
  const files: StampedFile[] = [];
  for (const file of paths) {
    const onRead = (bytes: number) => progress.read(bytes);
    const stamp = await stampOf(file);
    files.push({ file, sha256: await hashOfFile(file, { signal, onRead }), stamp });
    await progress.turn();
  }
  return files;
}

/** A file, and when it was changed last before it was hashed. */
interface StampedFile extends FileIdentity {
  readonly stamp: string;
}

async function stampOf(file: string): Promise<string> {
  // A file that is gone is told when it is read.
  const found = await stat(file).catch(() => undefined);
  return `${found?.mtimeMs} ${found?.size} ${found?.ino}`;
}

/** Prompts of MMLU are made of other files too. */
async function examplesOf(files: readonly FileIdentity[]): Promise<string> {
  const found: unknown[] = [];
  for (const { file } of files) {
    if (/_(?:test|val|dev|auxiliary_train)\.csv$/.test(file)) {
      found.push((await mmluSurroundings(file).catch(() => ({ examples: [] }))).examples);
    }
  }
  return hashOf(found);
}

/** Tells progress, and gives signals and timers a turn now and then: tokenising leaves them none. */
class Turns {
  readonly #options: DataOptions;
  readonly #paths: readonly string[];
  #stage: DataProgress["stage"] = "hash";
  #bytes = 0;
  #totalBytes: number | undefined;
  #rows = 0;
  #last = performance.now();

  constructor(paths: readonly string[], options: DataOptions) {
    this.#paths = paths;
    this.#options = options;
  }

  begin(stage: DataProgress["stage"]): void {
    this.#stage = stage;
    this.#bytes = 0;
  }

  read(bytes: number): void {
    this.#bytes += bytes;
  }

  row(): Promise<void> | undefined {
    this.#rows++;
    return performance.now() - this.#last < TURN_MS ? undefined : this.turn();
  }

  async turn(): Promise<void> {
    await new Promise((resume) => setTimeout(resume));
    this.#last = performance.now();
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    if (onProgress === undefined) return;
    this.#totalBytes ??= await sizeOf(this.#paths);
    const totalBytes = this.#totalBytes;
    onProgress({ stage: this.#stage, bytes: this.#bytes, totalBytes, rows: this.#rows });
  }
}

async function sizeOf(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
