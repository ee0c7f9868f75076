/**
 * What kernels of the cuda target have in common: predicted traffic, launches over rows and elements, and defaults for what most leave out.
 * @module
 */
import { dim, traffic, workOf } from "../calls.ts";
import type { CallOperand, Kernel, KernelCall, Launch, Machine, Tunables } from "../target.ts";
import { busyShare, largest, occupancy, occupancyLines } from "./occupancy.ts";

/** What a kernel says beside its name. */
export interface CudaKernelOptions {
  /** The ops that it serves; default: the one of its name. */
  readonly roots?: readonly string[];
  /** Chains of steps that may stand behind the first output. */
  readonly epilogue?: Kernel["serves"]["epilogue"];
  /** Which nodes may be a step, where not all. */
  readonly step?: Kernel["serves"]["step"];
  /** How nodes become one call. */
  readonly group?: Kernel["serves"]["group"];
  readonly tunables?: Kernel["tunables"];
  readonly defaults?: (call: KernelCall) => Tunables;
  readonly legal?: (values: Tunables, call: KernelCall) => boolean;
  /** Bytes of device memory that the call's launches share. */
  readonly workspace?: (call: KernelCall, values: Tunables) => number;
  readonly launches: (call: KernelCall, values: Tunables) => readonly Launch[];
  /** Operations that are done over those that are wanted: what stands over a result's edge is computed, too. Default 1. */
  readonly padding?: (call: KernelCall, values: Tunables) => number;
  /** Bytes that all blocks together read from the L2 cache, where many blocks read the same. Default 0. */
  readonly fed?: (call: KernelCall, values: Tunables) => number;
  /** Fields of the template's context beside `work` and the tunables. */
  readonly context?: (call: KernelCall, values: Tunables) => Readonly<Record<string, unknown>>;
}

/**
 * A kernel of the cuda target.
 * @param name Its name, and the template's
 * @param options What it serves, launches, context
 */
export function cudaKernel(name: string, options: CudaKernelOptions): Kernel {
  const { roots = [name], epilogue = [], step, group, tunables = {}, launches } = options;
  return {
    name,
    serves: {
      ...{ roots, epilogue },
      ...(step === undefined ? {} : { step }),
      ...(group === undefined ? {} : { group }),
    },
    tunables,
    defaults: options.defaults ?? (() => ({})),
    legal: (values, _isa, call) => options.legal?.(values, call) ?? true,
    traffic,
    predict: (call, values, { machine }) =>
      predictLaunches(call, launches(call, values), {
        machine,
        padding: options.padding?.(call, values) ?? 1,
        fed: options.fed?.(call, values) ?? 0,
      }),
    occupancy: (call, values, { multiprocessors }) =>
      multiprocessors && occupancy(largest(launches(call, values)), multiprocessors),
    workspace: (call, values) => ({
      perThread: 0,
      shared: options.workspace?.(call, values) ?? 0,
    }),
    context: (call, values) => ({
      work: workOf(call),
      occupancy: occupancyLines(launches(call, values)),
      ...values,
      ...options.context?.(call, values),
    }),
    launches,
  };
}

/** The roofline, with arithmetic at the peak of those SMs that have blocks, and with what they take from the L2 cache. */
function predictLaunches(
  call: KernelCall,
  launches: readonly Launch[],
  { machine, padding, fed }: {
    readonly machine: Machine;
    readonly padding: number;
    readonly fed: number;
  },
): number {
  const { flopsPerSecond, bytesPerSecond, multiprocessors, cacheBytesPerSecond } = machine;
  const { flops: wanted, bytes } = traffic(call);
  const flops = padding * wanted;
  const share = multiprocessors === undefined ? 1 : busyShare(largest(launches), multiprocessors);
  return Math.max(
    flops / (share * flopsPerSecond),
    bytes / bytesPerSecond,
    fed / (share * (cacheBytesPerSecond ?? Infinity)),
  );
}

/** What a block of a kernel without large sums takes. */
export const SMALL = { shared: 0, fixedShared: 128, registers: 48 } as const;

/**
 * A launch with one thread for each piece of work.
 * @param pieces How many
 * @param threads Threads of a block
 * @param entry Behind the symbol
 */
export function overPieces(pieces: number, threads: number, entry = ""): Launch {
  return { entry, grid: [Math.ceil(pieces / threads), 1, 1], threads, ...SMALL };
}

/**
 * A launch with a warp for each row.
 * @param rows How many
 * @param perBlock Rows of a block
 * @param entry Behind the symbol
 */
export function overRows(rows: number, perBlock: number, entry = ""): Launch {
  return { entry, grid: [Math.ceil(rows / perBlock), 1, 1], threads: 32 * perBlock, ...SMALL };
}

/** Threads of a block of kernels that go over elements, and of the usual size. */
export const THREADS = {
  tunables: { threads: [64, 128, 256, 512] },
  defaults: () => ({ threads: 256 }),
};

/**
 * The values that a lane moves at a time: 16 bytes of the widest type among a call's matrices and vectors.
 * @param call The call
 */
export function groupOf({ operands }: KernelCall): 4 | 8 {
  const wide = ({ tensor }: CallOperand) =>
    tensor.dtype === "f32" && (tensor.shape.at(-1) ?? 0) > 1;
  return operands.some((operand) => wide(operand) && !STATISTICS.has(operand.name)) ? 4 : 8;
}

/** A value for each row: never moved in groups. */
const STATISTICS: ReadonlySet<string> = new Set(["inverse_rms"]);

/**
 * The largest group of float32 that an extent is a whole number of.
 * @param extent A number of values
 */
export function divisor(extent: number): 1 | 2 | 4 {
  if (extent % 4 === 0) return 4;
  return extent % 2 === 0 ? 2 : 1;
}

/**
 * A kernel that goes over the elements of matrices, a group for each thread.
 * @param rows Dimension of rows
 * @param columns Dimension of columns, a multiple of 8
 */
export function overElements(rows: string, columns: string): CudaKernelOptions {
  return {
    ...THREADS,
    launches: (call, { threads }) => [
      overPieces(dim(call, rows) * dim(call, columns) / groupOf(call), Number(threads)),
    ],
    context: (call) => ({ group: groupOf(call) }),
  };
}

/** Rows of a block of kernels that take a warp a row. */
export const ROWS = { tunables: { rows: [1, 2, 4, 8] }, defaults: () => ({ rows: 4 }) };
