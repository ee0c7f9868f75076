/**
 * What data is, as a hash: of the files' bytes, the tokenizer, and what was asked for. A run goes on only with the same.
 * @module
 */
import { createHash } from "node:crypto";
import { PacacError } from "../../errors.ts";

/** A file of data. */
export interface FileIdentity {
  /** Its path. */
  readonly file: string;
  /** SHA-256 of its bytes as they lie on the disk, hexadecimal. */
  readonly sha256: string;
}

/** What decides which tokens come in which rows. Plain data, to be kept in a checkpoint. */
export interface DataIdentity {
  /** Hash of all that follows, paths left out. */
  readonly fingerprint: string;
  /** The files, in order. */
  readonly files: readonly FileIdentity[];
  /** The tokenizer's own hash. */
  readonly tokenizer: string;
  /** Format, map, packing and the like, as text. */
  readonly options: string;
}

/** Raised where readers come to give other documents for the same file: caches and checkpoints of before are of no use then. */
const READERS_VERSION = 1;

/**
 * Puts an identity together.
 * @param files The files, in order
 * @param tokenizer The tokenizer's hash
 * @param options What was asked for
 */
export function identityOf(
  files: readonly FileIdentity[],
  tokenizer: string,
  options: Readonly<Record<string, unknown>>,
): DataIdentity {
  const text = JSON.stringify(options);
  const hashes = files.map(({ sha256 }) => sha256);
  const fingerprint = hashOf([READERS_VERSION, hashes, tokenizer, text]);
  return { fingerprint, files, tokenizer, options: text };
}

/**
 * A hash of plain data, hexadecimal.
 * @param value The data
 */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/**
 * Refuses to go on with data that is not what a run began with.
 * @param before The identity that was kept
 * @param now The identity of the data at hand
 * @throws {PacacError} checkpoint-invalid, naming the file that changed
 */
export function requireSameData(before: DataIdentity, now: DataIdentity): void {
  if (before.fingerprint === now.fingerprint) return;
  const changed = now.files.find(({ sha256 }, i) => before.files.at(i)?.sha256 !== sha256);
  const state = before.files.length !== now.files.length
    ? `there were ${before.files.length} files, and now there are ${now.files.length}`
    : changed !== undefined
    ? "the file has changed since"
    : before.tokenizer !== now.tokenizer
    ? "the tokenizer has changed since"
    : `the data was read with ${before.options}, and now with ${now.options}`;
  throw new PacacError("checkpoint-invalid", `Cannot go on with other data: ${state}`, {
    ...(changed === undefined ? {} : { place: { file: changed.file } }),
    remedy: "give the data that the run began with, or begin a new run",
  });
}
