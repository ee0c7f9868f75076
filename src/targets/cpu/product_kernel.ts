/**
 * The common face of kernels that are one matrix product: tiles, workspace and traffic follow from its three extents.
 * @module
 */
import type { Grouping, Kernel, KernelCall } from "../target.ts";
import {
  defaultTiles,
  operandBytes,
  type Product,
  TILE_TUNABLES,
  type Tiles,
  tilesFit,
  tilesOf,
} from "./gemm_tiles.ts";
import { costText } from "../calls.ts";
import { predictProduct } from "./predict.ts";

/** What a product kernel says beside its name. */
export interface ProductOptions {
  readonly roots: readonly string[];
  readonly epilogue?: Kernel["serves"]["epilogue"];
  readonly group?: Grouping;
  /** Extents of the product. */
  readonly product: (call: KernelCall) => Product;
  /** Operations of a call; without it, those of the product. */
  readonly flops?: (call: KernelCall) => number;
  /** Fields of the template's context beside `tiles` and `cost`. */
  readonly context?: (call: KernelCall, tiles: Tiles) => Readonly<Record<string, unknown>>;
}

/**
 * A kernel that is one matrix product.
 * @param name Its name, and the template's
 * @param options Ops that it serves, extents, context
 */
export function productKernel(name: string, options: ProductOptions): Kernel {
  const { roots, epilogue = [], group, product, context } = options;
  const traffic = (call: KernelCall) => {
    const { m, n, k } = product(call);
    return { flops: options.flops?.(call) ?? 2 * m * n * k, bytes: operandBytes(call) };
  };
  return {
    name,
    serves: { roots, epilogue, ...(group === undefined ? {} : { group }) },
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
      const tiles = tilesOf(product(call), values, isa);
      return { tiles, cost: costText(flops, bytes), ...context?.(call, tiles) };
    },
  };
}
