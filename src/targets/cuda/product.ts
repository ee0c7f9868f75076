/**
 * The common face of cuda kernels that are matrix products: tunables, what fits, the launch over tiles of the result.
 * @module
 */
import { costText, roundUp, traffic } from "../calls.ts";
import type { Kernel, KernelCall, Launch, Tunables } from "../target.ts";
import { occupancy, SM_80_LIMITS } from "./occupancy.ts";
import { cudaKernel, type CudaKernelOptions } from "./kernel.ts";
import {
  defaultTiles,
  registersOf,
  sharedBytes,
  threadsOf,
  TILE_TUNABLES,
  type Tiles,
  tilesFit,
  tilesOf,
} from "./tiles.ts";

/** What a product kernel says beside its name. */
export interface ProductOptions
  extends Omit<CudaKernelOptions, "tunables" | "defaults" | "legal" | "launches"> {
  /** Rows and columns of the result. */
  readonly extents: (call: KernelCall) => { readonly m: number; readonly n: number };
  /** Bytes of shared memory beside the stages. */
  readonly extra?: (call: KernelCall, tiles: Tiles) => number;
  /** Bytes that the kernel declares itself. */
  readonly fixed?: (call: KernelCall, tiles: Tiles) => number;
  /** Whether a tile holds what it must, beside what fits a block. Default: yes. */
  readonly whole?: (call: KernelCall, tiles: Tiles) => boolean;
  readonly tunables?: Kernel["tunables"];
  readonly defaults?: (call: KernelCall) => Tunables;
  /** All launches, where there are more than the product's own. */
  readonly launches?: (call: KernelCall, values: Tunables, own: Launch) => readonly Launch[];
}

/**
 * A kernel that is a matrix product.
 * @param name Its name, and the template's
 * @param options Extents of the result, launches, context
 */
export function cudaProduct(name: string, options: ProductOptions): Kernel {
  const { extents, extra = () => 0, fixed = () => 0, whole = () => true, ...others } = options;
  const { launches, context, tunables, ...rest } = others;
  const legal = (values: Tunables, call: KernelCall): boolean => {
    const tiles = tilesOf(values);
    return tilesFit(values, extra(call, tiles) + fixed(call, tiles)) && whole(call, tiles);
  };
  return cudaKernel(name, {
    ...rest,
    tunables: { ...TILE_TUNABLES, ...tunables },
    defaults(call) {
      const more = options.defaults?.(call);
      const fits = (values: Tunables) => legal({ ...values, ...more }, call);
      return { ...defaultTiles(extents(call), fits), ...more };
    },
    legal,
    padding(call, values) {
      const { m, n } = extents(call), { bm, bn } = tilesOf(values);
      return roundUp(m, bm) * roundUp(n, bn) / (m * n);
    },
    fed(call, values) {
      const { m, n } = extents(call), { bm, bn } = tilesOf(values);
      const depth = traffic(call).flops / (2 * m * n);
      // A block's rows of A and columns of B, bf16.
      return Math.ceil(m / bm) * Math.ceil(n / bn) * (bm + bn) * depth * 2;
    },
    launches(call, values) {
      const own = overTiles(extents(call), tilesOf(values), {
        extra: extra(call, tilesOf(values)),
        fixed: fixed(call, tilesOf(values)),
      });
      return launches?.(call, values, own) ?? [own];
    },
    context: (call, values) => ({
      cost: costOf(call),
      tiles: tilesOf(values),
      resident: occupancy(
        overTiles(extents(call), tilesOf(values), {
          extra: extra(call, tilesOf(values)),
          fixed: fixed(call, tilesOf(values)),
        }),
        SM_80_LIMITS,
      ).blocks,
      ...context?.(call, values),
    }),
  });
}

/**
 * A launch with a block for each tile of a result; columns vary fastest, so that neighbours share rows of A.
 * @param extents Rows and columns of the result
 * @param tiles Sizes
 * @param more Bytes of shared memory beside the stages: dynamic, declared
 */
export function overTiles(
  { m, n }: { readonly m: number; readonly n: number },
  tiles: Tiles,
  { extra = 0, fixed = 0 }: { readonly extra?: number; readonly fixed?: number } = {},
): Launch {
  return {
    entry: "",
    grid: [Math.ceil(n / tiles.bn), Math.ceil(m / tiles.bm), 1],
    threads: threadsOf(tiles),
    shared: sharedBytes(tiles) + extra,
    fixedShared: fixed,
    registers: registersOf(tiles),
  };
}

/**
 * "9.66 GFLOP over 12.1 MB": what a generated header says of a call.
 * @param call The call
 */
export function costOf(call: KernelCall): string {
  const { flops, bytes } = traffic(call);
  return costText(flops, bytes);
}
