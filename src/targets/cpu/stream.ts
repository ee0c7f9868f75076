/**
 * Results that are written past the caches: a store that misses them would read its line first, and what comes back much later would
 * push out what is needed now.
 * @module
 */
import { bytesOf, DTYPE_BYTES } from "../../graph/graph.ts";
import { operandOf } from "../calls.ts";
import type { Isa, KernelCall } from "../target.ts";
import { inTiles, type Product, type Tiles } from "./gemm_tiles.ts";

/** The values of the tunable `stream`. */
export const STREAM = [0, 1] as const;

/** Bytes of a result that may still be in the caches when it is read. */
const KEPT = 4 << 20;

/**
 * The default of `stream`. Measured with AVX-512 (a Xeon with AMX, results of 6 and 12 MB): products 3 and 11 % faster; not measured with
 * shorter vectors. Tile registers store float32 results themselves, which is faster.
 * @param call A product
 * @param product Its extents
 * @param isa The instruction set
 */
export function defaultStream(call: KernelCall, product: Product, isa: Isa): 0 | 1 {
  const y = operandOf(call, "y");
  if (y === undefined || isa.lanes < 16 || (y.dtype === "f32" && inTiles(product, isa))) return 0;
  return bytesOf(y) > KEPT ? 1 : 0;
}

/**
 * Whether what is stored together is whole cache lines (parts of lines would be written one by one), and nothing comes back to the result:
 * sums that rest there do. Results with a residual, which are narrow ones, were not tried.
 * @param call A product
 * @param cut Its extents and sizes
 */
export function canStream(
  call: KernelCall,
  { product, tiles }: { readonly product: Product; readonly tiles: Tiles },
): boolean {
  const y = operandOf(call, "y");
  if (y === undefined || call.epilogue.length > 0 || product.k > tiles.kc) return false;
  const wholeLines = (values: number) => (DTYPE_BYTES[y.dtype] * values) % LINE === 0;
  return wholeLines(tiles.together) && wholeLines(product.n);
}

/** Bytes of a cache line. */
const LINE = 64;
