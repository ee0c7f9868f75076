/**
 * Results that are written past the caches: a store that misses them would read its line first, and what comes back much later would
 * push out what is needed now.
 * @module
 */
import { must } from "../../errors.ts";
import { bytesOf, DTYPE_BYTES, type Tensor } from "../../graph/graph.ts";
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
  const { dtype } = resultOf(call);
  if (isa.lanes < 16 || (dtype === "f32" && inTiles(product, isa))) return 0;
  return bytesOf(resultOf(call)) > KEPT ? 1 : 0;
}

/**
 * Whether what is stored together is whole cache lines, which is what streams are for; a residual or sums that rest in the result are read.
 * @param call A product
 * @param cut Its extents and sizes
 */
export function canStream(
  call: KernelCall,
  { product, tiles }: { readonly product: Product; readonly tiles: Tiles },
): boolean {
  const bytes = DTYPE_BYTES[resultOf(call).dtype];
  return call.epilogue.length === 0 && product.k <= tiles.kc &&
    (bytes * tiles.together) % LINE === 0 && (bytes * product.n) % LINE === 0;
}

/** Bytes of a cache line. */
const LINE = 64;

function resultOf(call: KernelCall): Tensor {
  return must(operandOf(call, "y"), "y");
}
