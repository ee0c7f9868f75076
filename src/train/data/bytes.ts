/**
 * Bytes of data files in pieces, gzip and zstd undone, so that a file is never whole in memory.
 *
 * zstd is undone by fzstd: node:zlib's stream, as Deno 2.9 has it, takes a truncated file for a whole one.
 * @module
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { PacacError } from "../../errors.ts";
import { messageOf } from "../json.ts";

/** How a file is compressed. */
export type Compression = "none" | "gzip" | "zstd";

/** What reading can be told. */
export interface ReadOptions {
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
  /** Told of every piece read from the disk. */
  readonly onRead?: ((bytes: number) => void) | undefined;
}

const PIECE = 256 * 1024;

/** The zstd tool's own limit; a frame may ask for terabytes. */
const MAX_WINDOW = 128 * 1024 * 1024;

/**
 * A file's bytes as they lie on the disk.
 * @param file Its path
 * @param options Signal and progress
 * @throws {PacacError} io
 */
export async function* rawBytes(
  file: string,
  { signal, onRead }: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const handle = await opened(file);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead, buffer } = await readPiece(handle, file);
      if (bytesRead === 0) return;
      onRead?.(bytesRead);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    // A pipe is not opened: that waits for whoever writes to it.
    if ((await stat(file)).isFile()) return await open(file, "r");
  } catch (cause) {
    throw new PacacError("io", `Cannot read the data: ${messageOf(cause)}`, {
      place: { file },
      remedy: "check the path",
      cause,
    });
  }
  throw new PacacError("io", "Cannot read the data: it is no regular file", {
    place: { file },
    remedy: "name a file, or a folder of files",
  });
}

async function readPiece(
  handle: FileHandle,
  file: string,
): Promise<{ bytesRead: number; buffer: Uint8Array }> {
  try {
    return await handle.read(new Uint8Array(PIECE), 0, PIECE);
  } catch (cause) {
    throw new PacacError("io", `Cannot read the data: ${messageOf(cause)}`, {
      place: { file },
      cause,
    });
  }
}

/**
 * How a file is compressed, by its first bytes.
 * @param head At least four bytes, or all there are
 */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const isZstd = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd;
  return isZstd ? "zstd" : "none";
}

/**
 * A file's bytes with its compression undone.
 * @param file Its path
 * @param compression How it is compressed
 * @param options Signal and progress
 * @throws {PacacError} io; data-invalid where it is damaged or cut off
 */
export async function* plainBytes(
  file: string,
  compression: Compression,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const raw = rawBytes(file, options);
  if (compression === "none") return yield* raw;
  try {
    yield* compression === "gzip" ? gunzip(raw) : unzstd(raw);
  } catch (cause) {
    if (cause instanceof PacacError || options.signal?.aborted) throw cause;
    throw new PacacError("data-invalid", `Cannot undo ${compression}: ${messageOf(cause)}`, {
      place: { file },
      remedy: "fetch the file again",
      cause,
    });
  }
}

async function* gunzip(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const gunzip = createGunzip();
  // Errors of the source are passed on by pipeline to the stream that is read here.
  pipeline(Readable.from(raw), gunzip, () => {});
  for await (const piece of gunzip) yield piece;
}

async function* unzstd(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const pieces: Uint8Array[] = [];
  const decompress = new Decompress((piece) => {
    if (piece.length > 0) pieces.push(piece.slice());
  });
  let begun = false;
  for await (const piece of raw) {
    if (!begun) requireSmallWindow(piece);
    begun = true;
    decompress.push(piece);
    yield* pieces.splice(0);
  }
  // fzstd waits for more of a frame; that nothing comes is an error only when it is told.
  decompress.push(new Uint8Array(0), true);
  yield* pieces.splice(0);
}

/** Reads a frame's header (RFC 8878, 3.1.1.1): the window's size stands in its descriptor, or is the content's. */
function requireSmallWindow(frame: Uint8Array): void {
  const descriptor = frame[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const window = frame[5] ?? 0;
  const size = single ? 0 : (1 + (window & 7) / 8) * 2 ** (10 + (window >>> 3));
  if (size > MAX_WINDOW) throw new Error(`its window of ${size} bytes is above ${MAX_WINDOW}`);
}

/**
 * SHA-256 of a file as it lies on the disk, in hexadecimal.
 * @param file Its path
 * @param options Signal and progress
 * @throws {PacacError} io
 */
export async function hashOfFile(file: string, options: ReadOptions = {}): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of rawBytes(file, options)) hash.update(piece);
  return hash.digest("hex");
}
