/**
 * PTX text into tokens with their lines. Comments go; `.loc` and `.file` end with their line, so lines are kept.
 * @module
 */
import { PacacError } from "../errors.ts";

/** A word, number, string or sign of PTX. */
export interface Token {
  readonly text: string;
  /** Line from 1. */
  readonly line: number;
}

const PATTERN = new RegExp(
  [
    String.raw`(?<skip>\/\/[^\n]*|\/\*[\s\S]*?\*\/|\s+)`,
    String.raw`"[^"\n]*"`,
    // Floats by their bits, hexadecimal and decimal numbers.
    String.raw`0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|0[xX][0-9a-fA-F]+U?|\d+(?:\.\d+)?U?`,
    // Directives and types are a word each, also where they are written together (`.reg.b16`).
    String.raw`\.\w+`,
    // Opcodes keep their dots and cache hints (`.L2::128B`); registers their %; labels their $.
    String.raw`[%$_A-Za-z][\w$.]*(?:::[\w.]+)*`,
    String.raw`[{}()[\],;:@!|+\-<>=]`,
  ].join("|"),
  "y",
);

/** No module of a generator comes near it. */
const LONGEST = 64 << 20;

/**
 * Splits PTX into tokens.
 * @param text PTX
 * @throws {PacacError} ptx-invalid
 */
export function tokenize(text: string): Token[] {
  if (text.length > LONGEST) {
    throw new PacacError("ptx-invalid", `Cannot read PTX: it has over ${LONGEST} characters`);
  }
  const tokens: Token[] = [];
  let line = 1;
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < text.length) {
    const at = PATTERN.lastIndex;
    const match = PATTERN.exec(text);
    if (match === null) {
      throw new PacacError(
        "ptx-invalid",
        `Cannot read PTX: ${JSON.stringify(text[at])} is not of PTX`,
        { place: { file: "PTX", line } },
      );
    }
    if (match.groups?.skip === undefined) tokens.push({ text: match[0], line });
    else for (const sign of match[0]) if (sign === "\n") line++;
  }
  return tokens;
}
