/**
 * The grammar of a PTX module as nvcc writes it: headers, variables, entries. body.ts reads what is in an entry's braces.
 * @module
 */
import { parseBody } from "./body.ts";
import { Cursor } from "./cursor.ts";
import { tokenize } from "./lexer.ts";
import { LineTable } from "./lines.ts";
import { extents, parseVariables } from "./variables.ts";
import {
  bytesOf,
  type Entry,
  isType,
  type Parameter,
  ptxError,
  type PtxText,
  type Variable,
} from "./syntax.ts";

const LINKAGE = new Set([".visible", ".extern", ".weak", ".common"]);
const SPACES = new Set([".global", ".const", ".shared", ".local"]);

/**
 * Reads PTX.
 * @param text What `nvcc -ptx -lineinfo` writes
 * @throws {PacacError} ptx-invalid
 */
export function parsePtx(text: string): PtxText {
  const cursor = new Cursor(tokenize(text));
  const lines = new LineTable(text);
  const entries = new Map<string, Entry>();
  const variables: Variable[] = [];
  let target = "";
  while (!cursor.done) {
    const { line } = cursor;
    const word = cursor.take();
    if (LINKAGE.has(word) || word === ";") continue;
    if (word === ".target") target = cursor.restOfLine()[0] ?? "";
    else if (/^\.(?:version|address_size|file)$/.test(word)) cursor.restOfLine();
    else if (word === ".section") skipSection(cursor);
    else if (word === ".pragma") cursor.restOfLine();
    else if (word === ".func") skipFunction(cursor);
    else if (word === ".entry") {
      const entry = parseEntry(cursor, lines);
      entries.set(entry.name, entry);
    } else if (SPACES.has(word)) variables.push(...parseVariables(cursor, word));
    else throw ptxError(`"${word}" is not known at module level`, line);
  }
  return { target, entries, variables };
}

function skipSection(cursor: Cursor): void {
  while (!cursor.accept("{")) cursor.take();
  cursor.skipBlock();
}

/** Functions that are called are a hard error at the call; that they are there harms nobody. */
function skipFunction(cursor: Cursor): void {
  for (;;) {
    const word = cursor.take();
    if (word === ";") return;
    if (word === "{") return cursor.skipBlock();
  }
}

function parseEntry(cursor: Cursor, lines: LineTable): Entry {
  const name = cursor.take();
  const parameters = cursor.accept("(") ? parseParameters(cursor) : [];
  let maxThreads: number | undefined;
  while (!cursor.accept("{")) {
    const { line } = cursor;
    const word = cursor.take();
    const extents = [1];
    if (/^\d/.test(cursor.next)) {
      do extents.push(cursor.size()); while (cursor.accept(","));
    }
    if (word === ".maxntid" || word === ".reqntid") maxThreads = extents.reduce((a, b) => a * b);
    else if (!/^\.(?:minnctapersm|maxnreg|pragma)$/.test(word)) {
      throw ptxError(`"${word}" is not known before an entry's body`, line);
    }
  }
  return { name, parameters, maxThreads, ...parseBody(cursor, lines) };
}

/** Parameters lie one behind the other, each at its own alignment. */
function parseParameters(cursor: Cursor): Parameter[] {
  const parameters: Parameter[] = [];
  let end = 0;
  while (!cursor.accept(")")) {
    cursor.expect(".param");
    let align = 0;
    let type = "";
    let name = "";
    while (name === "") {
      const word = cursor.take();
      if (word === ".align") align = Math.max(align, cursor.size());
      // `.ptr .global .align 16` says what a pointer points at.
      else if (word === ".ptr") {
        while (/^\.(?:global|shared|const|local)$/.test(cursor.next)) cursor.take();
        if (cursor.accept(".align")) cursor.size();
      } else if (isType(word.slice(1))) type = word.slice(1);
      else name = word;
    }
    const size = bytesOf(type);
    const bytes = size * (cursor.next === "[" ? extents(cursor) : 1);
    const offset = roundUp(end, Math.max(align, size, 1));
    parameters.push({ name, type, bytes, offset });
    end = offset + bytes;
    cursor.accept(",");
  }
  return parameters;
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
