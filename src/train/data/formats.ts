/**
 * The formats of rows: how each shows in a row's fields, and what reads it. A new format is a file of this folder and a line here.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { readAlpaca } from "./alpaca.ts";
import { readCompletion } from "./completion.ts";
import type { Document, ReadContext } from "./document.ts";
import { readMessages } from "./messages.ts";
import { readMmlu } from "./mmlu.ts";
import type { Row } from "./rows.ts";
import { readSharegpt } from "./sharegpt.ts";
import { readText } from "./text.ts";

/** Formats of data files, the more particular before the less. */
export const DATA_FORMATS = [
  "messages",
  "sharegpt",
  "mmlu",
  "alpaca",
  "completion",
  "text",
] as const;

/** One of {@linkcode DATA_FORMATS}. */
export type DataFormat = typeof DATA_FORMATS[number];

interface Reader {
  /** Fields that show the format; `a|b` is either. */
  readonly shownBy: readonly string[];
  /** Other fields that it reads. */
  readonly alsoReads: readonly string[];
  readonly read: (row: Row, context: ReadContext) => Document[];
}

const READERS: Readonly<Record<DataFormat, Reader>> = {
  messages: { shownBy: ["messages"], alsoReads: ["tools"], read: readMessages },
  sharegpt: { shownBy: ["conversations"], alsoReads: ["tools", "system"], read: readSharegpt },
  mmlu: {
    shownBy: ["question", "answer", "choices|choice0|A"],
    alsoReads: ["choice1", "choice2", "choice3", "B", "C", "D", "subject"],
    read: readMmlu,
  },
  alpaca: { shownBy: ["instruction", "output"], alsoReads: ["input"], read: readAlpaca },
  completion: { shownBy: ["prompt", "completion"], alsoReads: [], read: readCompletion },
  text: { shownBy: ["text"], alsoReads: [], read: readText },
};

/** Names that `--map` can give. */
export const FIELD_NAMES: readonly string[] = [
  ...new Set(
    DATA_FORMATS.flatMap((format) => {
      const { shownBy, alsoReads } = READERS[format];
      return [...shownBy.flatMap((name) => name.split("|")), ...alsoReads];
    }),
  ),
];

/**
 * The format of rows that have these fields; nothing where none fits.
 * @param fields Names of a row's fields
 */
export function formatOf(fields: readonly string[]): DataFormat | undefined {
  const has = (name: string) => name.split("|").some((one) => fields.includes(one));
  return DATA_FORMATS.find((format) => READERS[format].shownBy.every(has));
}

/**
 * The format of rows, told by one of them.
 * @param row A row, its fields named by a map already
 * @throws {PacacError} data-invalid, where no format fits
 */
export function requireFormat({ value, place }: Row): DataFormat {
  const fields = Object.keys(value);
  const format = formatOf(fields);
  if (format !== undefined) return format;
  const shown = fields.length === 0 ? "none" : fields.slice(0, 20).join(", ");
  throw new PacacError(
    "data-invalid",
    `Cannot tell the format: the first row has fields ${shown}`,
    {
      place,
      remedy:
        "name fields as a format does, for example --map question=instruction,answer=output; " +
        `formats: ${
          DATA_FORMATS.map((name) => `${name} (${READERS[name].shownBy.join(", ")})`).join("; ")
        }`,
    },
  );
}

/**
 * The documents of a row.
 * @param format The row's format
 * @param row The row
 * @param context Tokenizer, what is trained on, and the like
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function readRow(format: DataFormat, row: Row, context: ReadContext): Document[] {
  return READERS[format].read(row, context);
}
