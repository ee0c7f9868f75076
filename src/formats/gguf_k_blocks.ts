/**
 * The K types: superblocks of 256 elements in groups of 16 or 32, each group with a small whole scale (and minimum) of
 * its own under one float16 scale d (and minimum) for all.
 *
 * Element e of group g is d·scale[g]·q − dmin·min[g]. Products in double are exact, so the one rounding to float32 is
 * the one that float32 arithmetic does.
 * @module
 */
import type { BlockDecoder } from "./gguf_blocks.ts";

/**
 * Q2_K: 16 bytes of scale (low half) and minimum (high half) for 16 elements each; 64 bytes of 2-bit numbers; d, dmin.
 * @param block The bytes
 * @param at Where the block starts
 * @param out Where the values go
 */
export const q2K: BlockDecoder = (block, at, { values, to }) => {
  const d = block.getFloat16(at + 80, true);
  const dmin = block.getFloat16(at + 82, true);
  for (let e = 0; e < 256; e++) {
    const scales = block.getUint8(at + (e >> 4));
    values[to + e] = d * (scales & 15) * twoBits(block, at + 16, e) - dmin * (scales >> 4);
  }
};

/**
 * Q3_K: 32 bytes of third bits (bit 1 means 0, bit 0 means −4); 64 bytes of 2-bit numbers; 16 scales of 6 bits, less 32; d.
 * @param block The bytes
 * @param at Where the block starts
 * @param out Where the values go
 */
export const q3K: BlockDecoder = (block, at, { values, to }) => {
  const d = block.getFloat16(at + 108, true);
  for (let e = 0; e < 256; e++) {
    const group = e >> 4;
    const low = block.getUint8(at + 96 + (group & 7)) >> 4 * (group >> 3) & 15;
    const high = block.getUint8(at + 104 + (group & 3)) >> 2 * (group >> 2) & 3;
    const third = block.getUint8(at + (e & 31)) >> (e >> 5) & 1;
    const q = twoBits(block, at + 32, e) - (third === 1 ? 0 : 4);
    values[to + e] = d * ((low | high << 4) - 32) * q;
  }
};

/**
 * Q4_K: d, dmin; 8 scales and minima of 6 bits in 12 bytes; 128 bytes of 4-bit numbers.
 * @param block The bytes
 * @param at Where the block starts
 * @param out Where the values go
 */
export const q4K: BlockDecoder = (block, at, { values, to }) => {
  const d = block.getFloat16(at, true);
  const dmin = block.getFloat16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const { scale, minimum } = sixBits(block, at + 4, group);
    for (let j = 0; j < 32; j++) {
      const q = fourBits(block, at + 16, 32 * group + j);
      values[to + 32 * group + j] = d * scale * q - dmin * minimum;
    }
  }
};

/**
 * Q5_K: Q4_K with 32 bytes of fifth bits before the numbers, bit g of byte j for element j of group g.
 * @param block The bytes
 * @param at Where the block starts
 * @param out Where the values go
 */
export const q5K: BlockDecoder = (block, at, { values, to }) => {
  const d = block.getFloat16(at, true);
  const dmin = block.getFloat16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const { scale, minimum } = sixBits(block, at + 4, group);
    for (let j = 0; j < 32; j++) {
      const fifth = block.getUint8(at + 16 + j) >> group & 1;
      const q = fourBits(block, at + 48, 32 * group + j) | fifth << 4;
      values[to + 32 * group + j] = d * scale * q - dmin * minimum;
    }
  }
};

/**
 * Q6_K: 128 bytes of low halves; 64 bytes of high 2 bits; 16 signed scales; d. Numbers count from −32.
 * @param block The bytes
 * @param at Where the block starts
 * @param out Where the values go
 */
export const q6K: BlockDecoder = (block, at, { values, to }) => {
  const d = block.getFloat16(at + 208, true);
  for (let e = 0; e < 256; e++) {
    // Each half of 128 has 64 bytes: elements 0 to 63 in the low halves, 64 to 127 in the high ones.
    const half = e >> 7;
    const low = block.getUint8(at + 64 * half + (e & 63)) >> 4 * (e >> 6 & 1) & 15;
    const q = (low | twoBits(block, at + 128, e) << 4) - 32;
    values[to + e] = d * block.getInt8(at + 192 + (e >> 4)) * q;
  }
};

// 2-bit numbers: each half of 128 elements has 32 bytes, which hold its four runs of 32 from low bits to high.
function twoBits(block: DataView, at: number, e: number): number {
  return block.getUint8(at + 32 * (e >> 7) + (e & 31)) >> 2 * (e >> 5 & 3) & 3;
}

// 4-bit numbers: each 64 elements have 32 bytes, the first run of 32 in the low halves, the second in the high ones.
function fourBits(block: DataView, at: number, e: number): number {
  return block.getUint8(at + 32 * (e >> 6) + (e & 31)) >> 4 * (e >> 5 & 1) & 15;
}

// Groups 0 to 3 have bytes of their own; 4 to 7 have low halves in bytes 8 to 11, high bits atop those of 0 to 3.
function sixBits(
  block: DataView,
  at: number,
  group: number,
): { readonly scale: number; readonly minimum: number } {
  const scaleByte = block.getUint8(at + (group & 3));
  const minimumByte = block.getUint8(at + 4 + (group & 3));
  if (group < 4) return { scale: scaleByte & 63, minimum: minimumByte & 63 };
  const low = block.getUint8(at + 4 + group);
  return {
    scale: low & 15 | scaleByte >> 6 << 4,
    minimum: low >> 4 | minimumByte >> 6 << 4,
  };
}
