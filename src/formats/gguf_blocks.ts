/**
 * Block types of 32 elements, and IQ4's table of levels: stored blocks to float32.
 *
 * A block is a scale d (float16), for some a minimum m, and small whole numbers q. Where q has 4 bits, byte j of 16 holds
 * elements j (low half) and j + 16 (high half); 5th bits stand apart, one bit an element. Values are computed in double
 * and rounded once, which gives the bits of float32 arithmetic: each product of d and q fits float32 exactly.
 * @module
 */
import { invariant } from "../errors.ts";
import { fromBf16 } from "./dtype.ts";
import { q2K, q3K, q4K, q5K, q6K } from "./gguf_k_blocks.ts";
import { GGUF_DTYPES, type GgufDtype } from "./gguf_types.ts";

/** Decodes one block: reads at `at`, writes its elements from `to` on. */
export type BlockDecoder = (
  block: DataView,
  at: number,
  out: { readonly values: Float32Array; readonly to: number },
) => void;

/** Levels of IQ4_NL and IQ4_XS by 4-bit number. */
const IQ4_LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const DECODERS: Readonly<Record<Exclude<GgufDtype, "F32" | "F16" | "BF16">, BlockDecoder>> = {
  Q4_0: nibbles({ from: 2, value: (q, d) => d * (q - 8) }),
  Q4_1: nibbles({ from: 4, value: (q, d, m) => d * q + m }),
  Q5_0: nibbles({ from: 6, fifth: 2, value: (q, d) => d * (q - 16) }),
  Q5_1: nibbles({ from: 8, fifth: 4, value: (q, d, m) => d * q + m }),
  Q8_0: q8,
  Q2_K: q2K,
  Q3_K: q3K,
  Q4_K: q4K,
  Q5_K: q5K,
  Q6_K: q6K,
  IQ4_NL: nibbles({ from: 2, value: (q, d) => d * (IQ4_LEVELS[q] ?? NaN) }),
  IQ4_XS: iq4Xs,
};

/**
 * Stored blocks as float32.
 * @param bytes Whole blocks
 * @param dtype Their type
 */
export function dequantise(bytes: Uint8Array<ArrayBuffer>, dtype: GgufDtype): Float32Array {
  const { elements, bytes: blockBytes } = GGUF_DTYPES[dtype];
  const blocks = bytes.length / blockBytes;
  invariant(Number.isInteger(blocks), `${bytes.length} bytes are no whole blocks of ${dtype}`);
  // A copy where the bytes start in the middle of a buffer: typed arrays want alignment.
  const own = bytes.byteOffset === 0 ? bytes : bytes.slice();
  if (dtype === "F32") return new Float32Array(own.buffer, 0, blocks);
  if (dtype === "F16") return Float32Array.from(new Float16Array(own.buffer, 0, blocks));
  if (dtype === "BF16") return fromBf16(new Uint16Array(own.buffer, 0, blocks));
  const view = new DataView(own.buffer, 0, bytes.length);
  const values = new Float32Array(blocks * elements);
  const decode = DECODERS[dtype];
  for (let i = 0; i < blocks; i++) decode(view, i * blockBytes, { values, to: i * elements });
  return values;
}

interface Nibbles {
  /** Where the 16 bytes of numbers start. */
  readonly from: number;
  /** Where the u32 of fifth bits stands, for types that have it. */
  readonly fifth?: number;
  /** Value of a number with scale d and minimum m (the two bytes after d, whether or not they are one). */
  readonly value: (q: number, d: number, m: number) => number;
}

function nibbles({ from, fifth, value }: Nibbles): BlockDecoder {
  return (block, at, { values, to }) => {
    const d = block.getFloat16(at, true);
    const m = block.getFloat16(at + 2, true);
    const high = fifth === undefined ? 0 : block.getUint32(at + fifth, true);
    for (let j = 0; j < 16; j++) {
      const byte = block.getUint8(at + from + j);
      values[to + j] = value(byte & 15 | (high >>> j & 1) << 4, d, m);
      values[to + j + 16] = value(byte >> 4 | (high >>> (j + 16) & 1) << 4, d, m);
    }
  };
}

function q8(block: DataView, at: number, { values, to }: Parameters<BlockDecoder>[2]): void {
  const d = block.getFloat16(at, true);
  for (let j = 0; j < 32; j++) values[to + j] = d * block.getInt8(at + 2 + j);
}

// d, u16 of 8 high scale bits pairs, 4 bytes of low scale halves, then 8 groups of 16 bytes as in IQ4_NL.
function iq4Xs(block: DataView, at: number, { values, to }: Parameters<BlockDecoder>[2]): void {
  const d = block.getFloat16(at, true);
  const high = block.getUint16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const low = block.getUint8(at + 4 + (group >> 1)) >> 4 * (group & 1) & 15;
    const scale = d * ((low | (high >> 2 * group & 3) << 4) - 32);
    for (let j = 0; j < 16; j++) {
      const byte = block.getUint8(at + 8 + 16 * group + j);
      values[to + 32 * group + j] = scale * (IQ4_LEVELS[byte & 15] ?? NaN);
      values[to + 32 * group + j + 16] = scale * (IQ4_LEVELS[byte >> 4] ?? NaN);
    }
  }
}
