/**
 * Reads the row groups of a Parquet file: what parquet_worker.ts does on a thread of its own.
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
import { PacacError, type Place } from "../../errors.ts";
import { readAt, withFile } from "../../formats/files.ts";
import { isObject, messageOf } from "../json.ts";

/** A row group is in memory as a whole. */
const MAX_GROUP_BYTES = 1024 * 1024 * 1024;

/** What reading tells on the way. */
export interface GroupEvents {
  /** Bytes were read from the disk. */
  readonly onRead: (bytes: number) => void;
  /** A group begins; its bytes when they are unpacked. */
  readonly onGroup: (group: number, bytes: number) => void;
}

/**
 * The rows of a file, a group at a time.
 * @param file Its path
 * @param events Told on the way
 * @throws {PacacError} io; data-invalid where it is damaged or cut off, naming the group
 */
export async function* parquetGroups(
  file: string,
  events: GroupEvents,
): AsyncGenerator<Record<string, unknown>[], void, undefined> {
  using handle = withFile(file, () => Deno.openSync(file));
  const buffer = rangesOf(handle, events.onRead);
  const metadata = await guarded({ file }, () => parquetMetadataAsync(buffer));
  for (const [number, part] of groupsOf(metadata, { file, size: buffer.byteLength }).entries()) {
    const { begin: rowStart, end: rowEnd, group } = part;
    events.onGroup(number, Number(group.total_byte_size));
    const place = { file, field: `row group ${number}` };
    await guarded(place, () => requirePages(group, buffer));
    const rows = await guarded(
      place,
      () => parquetReadObjects({ file: buffer, metadata, compressors, rowStart, rowEnd }),
    );
    yield await guarded(place, () => Promise.resolve(rows.map(plainObject)));
  }
}

/** A file that is read by ranges; a range beyond its end is a damaged file's. */
function rangesOf(handle: Deno.FsFile, onRead: GroupEvents["onRead"]): AsyncBuffer {
  const { size } = handle.statSync();
  return {
    byteLength: size,
    slice(begin, end = size) {
      if (!(begin >= 0 && begin <= end && end <= size)) {
        throw new Error(`bytes ${begin} to ${end} are asked for, and the file has ${size}`);
      }
      const bytes = new Uint8Array(end - begin);
      const done = readAt(handle, bytes, { offset: begin });
      onRead(done);
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
      throw new PacacError("data-invalid", "Cannot read Parquet: the row group is not sound", {
        place: { file, field: `row group ${i}` },
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
async function guarded<T>(place: Place, step: () => Promise<T>): Promise<T> {
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
      place,
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
