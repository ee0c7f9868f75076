/**
 * Variables of a module or a body with their initial content.
 * @module
 */
import type { Cursor } from "./cursor.ts";
import { bytesOf, isType, ptxError, type Variable } from "./syntax.ts";

const LARGEST = 1 << 30;

/**
 * Product of `[a][b]`; 0 for `[]`.
 * @param cursor Stands before the first bracket
 */
export function extents(cursor: Cursor): number {
  let product = 1;
  while (cursor.accept("[")) {
    product *= cursor.next === "]" ? 0 : cursor.size();
    cursor.expect("]");
  }
  return product;
}

/**
 * Variables after their space: `.align 4 .b8 x[24] = {…}, y;`
 * @param cursor Stands behind the space
 * @param space `.global`, …
 */
export function parseVariables(cursor: Cursor, space: string): Variable[] {
  let align = 0;
  let type = "";
  while (cursor.next.startsWith(".")) {
    const word = cursor.take();
    if (word === ".align") align = cursor.size();
    else if (isType(word.slice(1))) type = word.slice(1);
    else if (word !== ".attribute") throw ptxError(`"${word}" in a variable`, cursor.line);
  }
  const size = bytesOf(type);
  const found: Variable[] = [];
  do {
    const { line } = cursor;
    const name = cursor.take();
    const bytes = size * (cursor.next === "[" ? extents(cursor) : 1);
    if (bytes > LARGEST) throw ptxError(`${name} has ${bytes} bytes`, line);
    const initial = cursor.accept("=") ? initialiser(cursor, type, bytes) : undefined;
    found.push({
      name,
      space: space.slice(1) as Variable["space"],
      align: Math.max(align, size),
      bytes,
      initial,
    });
  } while (cursor.accept(","));
  cursor.expect(";");
  return found;
}

/** Values in braces, nested or not, into bytes; what is left out is 0. */
function initialiser(cursor: Cursor, type: string, bytes: number): Uint8Array {
  const content = new Uint8Array(bytes);
  const view = new DataView(content.buffer);
  const size = bytesOf(type);
  let at = 0;
  let depth = 0;
  do {
    const { line } = cursor;
    if (cursor.accept("{")) depth++;
    else if (cursor.accept("}")) depth--;
    else if (!cursor.accept(",")) {
      const value = /^0[fFdD]/.test(cursor.next)
        ? BigInt(`0x${cursor.take().slice(2)}`)
        : undefined;
      if (value === undefined && !/^[-\d]/.test(cursor.next)) {
        throw ptxError(`the initial value "${cursor.next}" is not supported`, line);
      }
      if (at + size > bytes) throw ptxError("there are more initial values than elements", line);
      store(view, { at, size, value: value ?? cursor.integer() });
      at += size;
    }
  } while (depth > 0);
  return content;
}

function store(
  view: DataView,
  { at, size, value }: { readonly at: number; readonly size: number; readonly value: bigint },
): void {
  for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
}
