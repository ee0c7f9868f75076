/**
 * The common face of kernels that are one matrix product: tiles, workspace and traffic follow from its three extents.
 * @module
 */
import type { Grouping, Isa, Kernel, KernelCall } from "../target.ts";
import {
  defaultTiles,
  inTiles,
  operandBytes,
  type Product,
  takesPairs,
  TILE_TUNABLES,
  type Tiles,
  tilesFit,
  tilesOf,
} from "./gemm_tiles.ts";
import { costText } from "../calls.ts";
import { type PredictOptions, predictProduct } from "./predict.ts";
import { canStream, defaultStream, STREAM } from "./stream.ts";

/** How many parts a thread's share is cut into. */
const PARTS = [1, 2, 4, 8] as const;

/** Each part packs operands of its own: next to nothing beside multiply-adds, much beside tile registers. */
function defaultParts(product: Product, isa: Isa): number {
  return inTiles(product, isa) ? 1 : 4;
}

/** What a product kernel says beside its name. */
export interface ProductOptions {
  readonly roots: readonly string[];
  readonly epilogue?: Kernel["serves"]["epilogue"];
  readonly group?: Grouping;
  /** Extents of the product. */
  readonly product: (call: KernelCall) => Product;
  /** Its extents where operands are pairs of bf16, or undefined for a call that never takes them. */
  readonly paired?: (call: KernelCall) => Product | undefined;
  /** Operations of a call; without it, those of the product. */
  readonly flops?: (call: KernelCall) => number;
  /** Whether a thread's share is cut into `parts`, which threads take as they get to them (Worker::in_parts). */
  readonly inParts?: true;
  /** Whether the result of a call may be written past the caches, which is the tunable `stream`. */
  readonly streams?: true;
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
  const cut = (call: KernelCall, isa: Isa): Product => {
    const paired = takesPairs(call, isa) ? options.paired?.(call) : undefined;
    return paired === undefined ? product(call) : { ...paired, pairs: true };
  };
  const traffic = (call: KernelCall) => {
    const { m, n, k } = product(call);
    return { flops: options.flops?.(call) ?? 2 * m * n * k, bytes: operandBytes(call) };
  };
  return {
    name,
    serves: { roots, epilogue, ...(group === undefined ? {} : { group }) },
    tunables: {
      ...TILE_TUNABLES,
      ...(options.inParts === true ? { parts: PARTS } : {}),
      ...(options.streams === true ? { stream: STREAM } : {}),
    },
    defaults: (call, isa) => ({
      ...defaultTiles(cut(call, isa), isa),
      ...(options.inParts === true ? { parts: defaultParts(cut(call, isa), isa) } : {}),
      ...(options.streams === true ? { stream: defaultStream(call, cut(call, isa), isa) } : {}),
    }),
    legal: (values, isa, call) => tilesFit(cut(call, isa), values, isa),
    traffic,
    predict: (call, values, { isa, machine }) =>
      predictSteps(cut(call, isa), tilesOf(cut(call, isa), values, isa), {
        isa,
        machine,
        bytes: operandBytes(call),
      }),
    workspace: (call, values, isa) => ({
      perThread: tilesOf(cut(call, isa), values, isa).scratch,
      shared: 0,
    }),
    context(call, values, isa) {
      const { flops, bytes } = traffic(call);
      const product = cut(call, isa);
      const tiles = tilesOf(product, values, isa), { pairs = false } = product;
      const parts = Number(values.parts ?? 1);
      const stream = Number(values.stream ?? 0) === 1 && canStream(call, { product, tiles });
      return {
        tiles,
        pairs,
        parts,
        stream,
        cost: costText(flops, bytes),
        ...context?.(call, tiles),
      };
    },
  };
}

/**
 * Seconds of one product, of which the micro-kernel takes one value of k a step, or two.
 * @param product Its extents
 * @param tiles Its sizes
 * @param options Instruction set, machine, bytes
 */
export function predictSteps(product: Product, tiles: Tiles, options: PredictOptions): number {
  const k = product.pairs === true ? Math.ceil(product.k / 2) : product.k;
  return predictProduct({ ...product, k }, { ...tiles, kc: tiles.steps }, options);
}
