/**
 * Finding a key that stands twice in one JSON object: JSON.parse keeps the last without a word, so that two readers of
 * a hostile file could see two different tensors of one name.
 * @module
 */

/**
 * The first key that an object of the text holds twice, or undefined.
 * @param text Valid JSON
 */
export function duplicateKey(text: string): string | undefined {
  const objects: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x7b) objects.push(new Set());
    else if (c === 0x7d) objects.pop();
    if (c !== 0x22) continue;
    const end = stringEnd(text, i);
    const keys = isKey(text, end) ? objects.at(-1) : undefined;
    if (keys !== undefined) {
      const key: string = JSON.parse(text.slice(i, end));
      if (keys.has(key)) return key;
      keys.add(key);
    }
    i = end - 1;
  }
  return undefined;
}

// Index after the closing quote of the text that opens at `start`.
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5c) i++;
    else if (c === 0x22) return i + 1;
  }
  return text.length;
}

// A text is a key where a colon follows.
function isKey(text: string, end: number): boolean {
  let i = end;
  while (" \t\r\n".includes(text.charAt(i)) && i < text.length) i++;
  return text.charCodeAt(i) === 0x3a;
}
