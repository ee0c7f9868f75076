/**
 * The common face of kernels that are one matrix product: tiles, workspace and traffic follow from its three extents.
 * @module
 */
import type { EpilogueStep, Kernel, KernelCall } from "../target.ts";
import {
  costText,
  defaultTiles,
  operandBytes,
  type Product,
  TILE_TUNABLES,
  tilesFit,
  tilesOf,
} from "./gemm_tiles.ts";
import { predictProduct } from "./predict.ts";

/** What a product kernel says beside its name. */
export interface ProductOptions {
  readonly roots: readonly string[];
  readonly epilogue?: readonly EpilogueStep[];
  /** Extents of the product. */
  readonly product: (call: KernelCall) => Product;
  /** Fields of the template's context beside `tiles` and `cost`. */
  readonly context?: (call: KernelCall) => Readonly<Record<string, unknown>>;
}

/**
 * A kernel that is one matrix product.
 * @param name Its name, and the template's
 * @param options Ops that it serves, extents, context
 */
export function productKernel(name: string, options: ProductOptions): Kernel {
  const { roots, epilogue = [], product, context } = options;
  const traffic = (call: KernelCall) => {
    const { m, n, k } = product(call);
    return { flops: 2 * m * n * k, bytes: operandBytes(call) };
  };
  return {
    name,
    serves: { roots, epilogue },
    tunables: TILE_TUNABLES,
    defaults: (call, isa) => defaultTiles(product(call), isa),
    legal: tilesFit,
    traffic,
    predict: (call, values, { isa, machine }) =>
      predictProduct(product(call), tilesOf(product(call), values, isa), {
        isa,
        machine,
        bytes: operandBytes(call),
      }),
    workspace: (call, values, isa) => ({
      perThread: tilesOf(product(call), values, isa).scratch,
      shared: 0,
    }),
    context(call, values, isa) {
      const { flops, bytes } = traffic(call);
      return {
        tiles: tilesOf(product(call), values, isa),
        cost: costText(flops, bytes),
        ...context?.(call),
      };
    },
  };
}
