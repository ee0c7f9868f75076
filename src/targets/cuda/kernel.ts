/**
 * What kernels of the cuda target have in common: predicted traffic, launches over rows and elements, and defaults for what most leave out.
 * @module
 */
import { traffic, workOf } from "../calls.ts";
import { byRoofline } from "../roofline.ts";
import type { Kernel, KernelCall, Launch, Tunables } from "../target.ts";

/** What a kernel says beside its name. */
export interface CudaKernelOptions {
  /** The ops that it serves; default: the one of its name. */
  readonly roots?: readonly string[];
  /** Chains of steps that may stand behind the first output. */
  readonly epilogue?: Kernel["serves"]["epilogue"];
  readonly tunables?: Kernel["tunables"];
  readonly defaults?: (call: KernelCall) => Tunables;
  readonly legal?: (values: Tunables, call: KernelCall) => boolean;
  /** Bytes of device memory that the call's launches share. */
  readonly workspace?: (call: KernelCall, values: Tunables) => number;
  readonly launches: (call: KernelCall, values: Tunables) => readonly Launch[];
  /** Fields of the template's context beside `work` and the tunables. */
  readonly context?: (call: KernelCall, values: Tunables) => Readonly<Record<string, unknown>>;
}

/**
 * A kernel of the cuda target.
 * @param name Its name, and the template's
 * @param options What it serves, launches, context
 */
export function cudaKernel(name: string, options: CudaKernelOptions): Kernel {
  const { roots = [name], epilogue = [], tunables = {}, launches } = options;
  return {
    name,
    serves: { roots, epilogue },
    tunables,
    defaults: options.defaults ?? (() => ({})),
    legal: (values, _isa, call) => options.legal?.(values, call) ?? true,
    traffic,
    predict: byRoofline(traffic),
    workspace: (call, values) => ({
      perThread: 0,
      shared: options.workspace?.(call, values) ?? 0,
    }),
    context: (call, values) => ({
      work: workOf(call),
      ...values,
      ...options.context?.(call, values),
    }),
    launches,
  };
}

/**
 * A launch with one thread for each piece of work.
 * @param pieces How many
 * @param threads Threads of a block
 * @param entry Behind the symbol
 */
export function overPieces(pieces: number, threads: number, entry = ""): Launch {
  return { entry, grid: [Math.ceil(pieces / threads), 1, 1], threads, shared: 0 };
}

/**
 * A launch with a warp for each row.
 * @param rows How many
 * @param perBlock Rows of a block
 * @param entry Behind the symbol
 */
export function overRows(rows: number, perBlock: number, entry = ""): Launch {
  return { entry, grid: [Math.ceil(rows / perBlock), 1, 1], threads: 32 * perBlock, shared: 0 };
}

/** Threads of a block of kernels that go over elements, and of the usual size. */
export const THREADS = {
  tunables: { threads: [64, 128, 256, 512] },
  defaults: () => ({ threads: 256 }),
};

/** Rows of a block of kernels that take a warp a row. */
export const ROWS = { tunables: { rows: [1, 2, 4, 8] }, defaults: () => ({ rows: 4 }) };
