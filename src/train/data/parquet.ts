/**
 * Rows of Parquet files, a row group at a time.
 * @module
 */
import { type FileHandle, open } from "node:fs/promises";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { PacacError } from "../../errors.ts";
import { isObject, messageOf } from "../json.ts";
import type { ReadOptions } from "./bytes.ts";
import type { RowStream } from "./rows.ts";

/** A row group is in memory as a whole. */
const MAX_GROUP_BYTES = 1024 * 1024 * 1024;

/**
 * The rows of a file. Lines count rows, from 1.
 * @param file Its path
 * @param options Signal and progress
 * @throws {PacacError} io; data-invalid where it is damaged or cut off
 */
export async function* parquetRows(
  file: string,
  { signal, onRead }: ReadOptions = {},
): RowStream {
  const handle = await opened(file);
  try {
    const buffer = await rangesOf(handle, onRead);
    const metadata = await guarded(file, () => parquetMetadataAsync(buffer));
    let row = 0;
    for (const { begin, end } of groupsOf(metadata, file)) {
      signal?.throwIfAborted();
      const rows = await guarded(
        file,
        () =>
          parquetReadObjects({ file: buffer, metadata, compressors, rowStart: begin, rowEnd: end }),
      );
      for (const value of rows) yield { value: plainObject(value), place: { file, line: ++row } };
    }
  } finally {
    await handle.close();
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    return await open(file, "r");
  } catch (cause) {
    throw new PacacError("io", `Cannot read the data: ${messageOf(cause)}`, {
      place: { file },
      remedy: "check the path",
      cause,
    });
  }
}

/** A file that is read by ranges; a range beyond its end is a damaged file's. */
async function rangesOf(
  handle: FileHandle,
  onRead: ReadOptions["onRead"],
): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(begin, end = size) {
      if (!(begin >= 0 && begin <= end && end <= size)) {
        throw new Error(`bytes ${begin} to ${end} are asked for, and the file has ${size}`);
      }
      const bytes = new Uint8Array(end - begin);
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, begin + done);
        if (bytesRead === 0) throw new Error("the file ends early");
        done += bytesRead;
      }
      onRead?.(done);
      return bytes.buffer;
    },
  };
}

function groupsOf(
  { row_groups }: FileMetaData,
  file: string,
): { begin: number; end: number }[] {
  let begin = 0;
  return row_groups.map((group, i) => {
    const bytes = Number(group.total_byte_size), rows = Number(group.num_rows);
    if (!(rows >= 0 && rows <= 2 ** 31) || !(bytes <= MAX_GROUP_BYTES)) {
      const state = `row group ${i} has ${rows} rows of ${bytes} bytes`;
      throw new PacacError("data-invalid", `Cannot read Parquet: ${state}`, {
        place: { file },
        remedy: `write groups of at most ${MAX_GROUP_BYTES} bytes`,
      });
    }
    const range = { begin, end: begin + rows };
    begin += rows;
    return range;
  });
}

/** Whatever hyparquet throws is about the file. */
async function guarded<T>(file: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    throw new PacacError("data-invalid", `Cannot read Parquet: ${messageOf(cause)}`, {
      place: { file },
      remedy: "fetch the file again",
      cause,
    });
  }
}

function plainObject(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
}

/** A value as JSON has it: templates write rows' values out. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : `${value}`;
  }
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  if (Array.isArray(value)) return value.map(plain);
  return isObject(value) ? plainObject(value) : value;
}
