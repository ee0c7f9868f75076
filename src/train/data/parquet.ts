/**
 * Rows of Parquet files, a row group at a time.
 * @module
 */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { parquetHeader } from "hyparquet/src/column.js";
import { PacacError } from "../../errors.ts";
import { readAt, withFile } from "../../formats/files.ts";
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
  using handle = withFile(file, () => Deno.openSync(file));
  const buffer = rangesOf(handle, onRead);
  const metadata = await guarded(file, () => parquetMetadataAsync(buffer));
  let row = 0;
  for (const { begin, end, group } of groupsOf(metadata, { file, size: buffer.byteLength })) {
    signal?.throwIfAborted();
    await guarded(file, () => requirePages(group, buffer));
    const rows = await guarded(
      file,
      () =>
        parquetReadObjects({ file: buffer, metadata, compressors, rowStart: begin, rowEnd: end }),
    );
    for (const value of rows) yield { value: plainObject(value), place: { file, line: ++row } };
  }
}

/** A file that is read by ranges; a range beyond its end is a damaged file's. */
function rangesOf(handle: Deno.FsFile, onRead: ReadOptions["onRead"]): AsyncBuffer {
  const { size } = handle.statSync();
  return {
    byteLength: size,
    slice(begin, end = size) {
      if (!(begin >= 0 && begin <= end && end <= size)) {
        throw new Error(`bytes ${begin} to ${end} are asked for, and the file has ${size}`);
      }
      const bytes = new Uint8Array(end - begin);
      const done = readAt(handle, bytes, { offset: begin });
      onRead?.(done);
      if (done === bytes.length) return bytes.buffer;
      throw new Error("the file ends early");
    },
  };
}

/** Ranges of rows, a row group each, once all that they say of bytes has been found to lie in the file. */
function groupsOf(
  { row_groups }: FileMetaData,
  { file, size }: { readonly file: string; readonly size: number },
): { begin: number; end: number; group: RowGroup }[] {
  const within = (bytes: unknown, limit: number) => Number(bytes) >= 0 && Number(bytes) <= limit;
  let begin = 0;
  return row_groups.map((group, i) => {
    const rows = Number(group.num_rows);
    // Every row takes a bit at least; a number that is made up would take for ever.
    const sound = within(rows, 8 * Number(group.total_byte_size)) &&
      within(group.total_byte_size, MAX_GROUP_BYTES) &&
      group.columns.every(({ meta_data: column }) =>
        within(column?.data_page_offset, size) && within(column?.total_compressed_size, size) &&
        within(column?.total_uncompressed_size, MAX_GROUP_BYTES) &&
        within(column?.dictionary_page_offset ?? 0, size)
      );
    if (!sound) {
      throw new PacacError("data-invalid", `Cannot read Parquet: row group ${i} is not sound`, {
        place: { file },
        remedy: `write groups of at most ${MAX_GROUP_BYTES} bytes, or fetch the file again`,
      });
    }
    const range = { begin, end: begin + rows, group };
    begin += rows;
    return range;
  });
}

/** Values of a page, nulls among them. */
const MAX_VALUES = 1 << 24;

/** Walks the headers of a group's pages: hyparquet goes round for ever where a page does not say its size. */
async function requirePages({ columns }: RowGroup, buffer: AsyncBuffer): Promise<void> {
  for (const { meta_data: column } of columns) {
    if (column === undefined) throw new Error("a column has no description");
    const begin = Number(column.dictionary_page_offset ?? column.data_page_offset);
    const bytes = await buffer.slice(begin, begin + Number(column.total_compressed_size));
    const reader = { view: new DataView(bytes), offset: 0 };
    while (reader.offset < bytes.byteLength - 1) {
      const header = parquetHeader(reader);
      const { compressed_page_size: size, uncompressed_page_size: whole } = header;
      const { num_values: values } = header.data_page_header ?? header.data_page_header_v2 ??
        header.dictionary_page_header ?? { num_values: Number.NaN };
      const sound = size >= 0 && reader.offset + size <= bytes.byteLength &&
        whole >= 0 && whole <= MAX_GROUP_BYTES && values >= 0 && values <= MAX_VALUES;
      if (!sound) throw new Error("a page is not sound");
      reader.offset += size;
    }
  }
}

/** Whatever hyparquet throws is about the file, also what it leaves behind in promises that nobody waits for. */
async function guarded<T>(file: string, step: () => Promise<T>): Promise<T> {
  const ignore = (event: PromiseRejectionEvent) => {
    const { reason } = event;
    if (reason instanceof Error && /hyparquet/.test(reason.stack ?? "")) event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", ignore);
  try {
    return await step();
  } catch (cause) {
    // Reads are synchronous: what fails beside this fails before the next turn.
    await new Promise((resume) => setTimeout(resume));
    throw new PacacError("data-invalid", `Cannot read Parquet: ${messageOf(cause)}`, {
      place: { file },
      remedy: "fetch the file again",
      cause,
    });
  } finally {
    globalThis.removeEventListener("unhandledrejection", ignore);
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
