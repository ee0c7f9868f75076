/**
 * Tells model files apart without reading them whole: weights have gigabytes, and a run must begin at once.
 * @module
 */
import { createHash } from "node:crypto";
import { fileSize, isFolder, join, readAt, withFile } from "../formats/files.ts";

/** A file by its size and by what stands at places all over it. */
export interface FileSample {
  /** Its path. */
  readonly file: string;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of the size and of {@linkcode BLOCKS} blocks, evenly spaced from the first byte to the last, hexadecimal. */
  readonly sample: string;
}

/** Training moves every tensor: a file that is equal in all of these places and in size is the same for all that matters. */
const BLOCKS = 64;
const BLOCK_BYTES = 64 * 1024;

/**
 * Samples of the safetensors files at a path.
 * @param path A folder, or one such file
 * @throws {PacacError} io
 */
export function samplesOf(path: string): FileSample[] {
  if (!isFolder(path)) return [sampleOf(path)];
  const names = withFile(path, () => [...Deno.readDirSync(path)]).map(({ name }) => name);
  return names.filter((name) => name.endsWith(".safetensors")).sort()
    .map((name) => sampleOf(join(path, name)));
}

function sampleOf(path: string): FileSample {
  const bytes = fileSize(path) ?? 0;
  const hash = createHash("sha256").update(`${bytes}\0`);
  const last = Math.max(0, bytes - BLOCK_BYTES);
  withFile(path, () => {
    using file = Deno.openSync(path);
    const block = new Uint8Array(BLOCK_BYTES);
    for (let i = 0; i < BLOCKS; i++) {
      const offset = Math.floor(last * i / (BLOCKS - 1));
      hash.update(block.subarray(0, readAt(file, block, { offset })));
    }
  });
  return { file: path, bytes, sample: hash.digest("hex") };
}
