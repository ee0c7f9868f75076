/** What tests of data share: files in a folder of their own, and documents as text with the learnt tokens in brackets. */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Document } from "../../../src/train/data/document.ts";
import type { Row } from "../../../src/train/data/rows.ts";
import type { Tokenizer } from "../../../src/train/tokenizer.ts";

/** A row of a file "d". */
export function rowOf(value: Record<string, unknown>): Row {
  return { value, place: { file: "d", line: 3 } };
}

/** The document's text with what is trained on in brackets. */
export function marked({ ids, supervised }: Document, by: Tokenizer): string {
  let text = "";
  ids.forEach((id, i) => {
    if (supervised[i] === 1 && supervised[i - 1] !== 1) text += "[";
    text += by.decode([id]);
    if (supervised[i] === 1 && supervised[i + 1] !== 1) text += "]";
  });
  return text;
}

/** Writes files into a new folder. */
export async function filesIn(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pacac-data-"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** Writes one file. */
export async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  return join(await filesIn({ [name]: content }), name);
}
