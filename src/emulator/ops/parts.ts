/**
 * Packing and unpacking: `mov.b64 d, {a, b}` and back, parts from the lowest bits on. Whole and parts differ in width, so that
 * none is the other.
 * @module
 */
import { binary, type Execute, unary, wide } from "../lanes.ts";
import type { Site, Width } from "../operands.ts";
import { bytesOf } from "../syntax.ts";
import { once } from "./decoder.ts";

const WORDS = { to: "i32", from: "i32" } as const;
const LOW = (a: number) => a & 0xffff;
const HIGH = (a: number) => a >>> 16;
const PACK16 = (a: number, b: number) => a & 0xffff | b << 16;
const PACK32 = {
  low: (al: number) => al,
  high: (_al: number, _ah: number, bl: number) => bl,
};

/**
 * Decodes a mov with a vector.
 * @param site The instruction
 */
export function moveParts(site: Site): Execute {
  const packs = site.items(0).length === 1;
  const parts = site.items(packs ? 1 : 0);
  const total = bytesOf(site.type);
  const size = total / parts.length;
  if (![1, 2, 4].includes(size)) return site.fail("parts of this size are not known");
  const width: Width = total === 8 ? 64 : 32;
  const whole = packs ? site.target(0, width) : site.source(1, width);
  const rows = parts.map((part) => packs ? site.sourceOf(part, 32) : site.targetOf(part, 32));
  if (packs && total === 4 && size === 2) {
    return once("pack 16", () => binary(PACK16, WORDS))(whole, rows[0], rows[1]);
  }
  if (packs && size === 4) {
    return once("pack 32", () => wide(PACK32, { a: 1, b: 1 }))(whole, rows[0], rows[1]);
  }
  if (total === 4 && size === 2) {
    const low = once("unpack low", () => unary(LOW, WORDS))(rows[0], whole);
    const high = once("unpack high", () => unary(HIGH, WORDS))(rows[1], whole);
    return (warp) => {
      low(warp);
      high(warp);
    };
  }
  return packs ? packAny(whole, rows, total) : unpackAny(whole, rows, total);
}

/** Any number of parts, part by part. */
function packAny(whole: number, rows: readonly number[], total: number): Execute {
  const step = total === 8 ? 2 : 1;
  const bits = 8 * total / rows.length;
  const keep = bits === 32 ? -1 : (1 << bits) - 1;
  return ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      const at = whole + i * step;
      i32.fill(0, at, at + step);
      for (let k = 0; k < rows.length; k++) {
        i32[at + (bits * k >> 5)] |= (i32[rows[k] + i] & keep) << (bits * k & 31);
      }
    }
  };
}

function unpackAny(whole: number, rows: readonly number[], total: number): Execute {
  const step = total === 8 ? 2 : 1;
  const bits = 8 * total / rows.length;
  const keep = bits === 32 ? -1 : (1 << bits) - 1;
  return ({ i32, mask }) => {
    for (let i = 0; i < 32; i++) {
      if ((mask >>> i & 1) === 0) continue;
      for (let k = 0; k < rows.length; k++) {
        const word = i32[whole + i * step + (bits * k >> 5)];
        i32[rows[k] + i] = word >>> (bits * k & 31) & keep;
      }
    }
  };
}
