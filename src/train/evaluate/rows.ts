/**
 * Rows of question files: any container that training data may have, every row must be usable.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { detectKind, rowsOf } from "../data/detect.ts";
import { listFiles } from "../data/inputs.ts";
import type { Row } from "../data/rows.ts";

/** What {@linkcode questionRows} is told. */
export interface QuestionOptions {
  /** Ends the reading, with an empty or shorter list. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The files of questions below a path: those whose names say `test` where there are any, else all.
 * @param path A file or a folder
 * @throws {PacacError} io, data-invalid
 */
export async function questionFiles(path: string): Promise<string[]> {
  const files = await listFiles(path);
  const tests = files.filter((file) => /(?:^|[/_])test\.\w+(?:\.\w+)?$/.test(file));
  return tests.length > 0 ? tests : files;
}

/**
 * The rows of a file.
 * @param file Its path
 * @param options Signal
 * @throws {PacacError} io; data-invalid, naming the first row that cannot be had
 */
export async function questionRows(
  file: string,
  { signal }: QuestionOptions = {},
): Promise<Row[]> {
  const kind = await detectKind(file, { signal });
  if (kind.container === "text") {
    throw new PacacError("data-invalid", "Cannot use the questions: the file holds no rows", {
      place: { file },
      remedy: "give JSON lines, JSON, CSV or Parquet with a row for each question",
    });
  }
  const rows: Row[] = [];
  for await (const row of rowsOf(file, kind, { signal })) {
    if ("fault" in row) throw row.fault;
    rows.push(row);
  }
  return rows;
}

/**
 * Drops what stands in front until the rest fits.
 * @param examples What may be dropped
 * @param tokensOf Makes the prompt of the examples that are left
 * @param room Tokens that there are
 * @returns The first prompt that fits, and how many were dropped for it; undefined where it does not fit without any
 */
export function fitFromFront<Example>(
  examples: readonly Example[],
  tokensOf: (left: readonly Example[]) => Int32Array,
  { room }: { readonly room: number },
): { readonly ids: Int32Array; readonly dropped: number } | undefined {
  for (let dropped = 0; dropped <= examples.length; dropped++) {
    const ids = tokensOf(examples.slice(dropped));
    if (ids.length <= room) return { ids, dropped };
  }
  return undefined;
}
