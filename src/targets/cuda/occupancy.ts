/**
 * How many blocks of a kernel a multiprocessor holds at a time, and what limits it (CUDA programming guide, "Compute Capabilities").
 * @module
 */
import { type Gpu, REGISTERS } from "./gpus.ts";

/** What a block needs. */
export interface BlockNeeds {
  readonly threads: number;
  /** Registers of a thread, as ptxas says. */
  readonly registers: number;
  /** Shared memory, static and dynamic, bytes. */
  readonly shared: number;
}

/** How full a multiprocessor gets. */
export interface Occupancy {
  readonly blocks: number;
  /** Warps, as a share of those that the multiprocessor can hold. */
  readonly share: number;
  readonly limit: "threads" | "blocks" | "registers" | "shared memory";
}

const WARP = 32;
/** Registers are given to warps in units of this many. */
const REGISTER_UNIT = 256;
/** Shared memory is given in units of this many bytes, and each block pays for the system's share. */
const SHARED_UNIT = 128;
const SHARED_RESERVED = 1024;

/**
 * Blocks of a kernel on one multiprocessor.
 * @param needs What a block needs
 * @param gpu The GPU
 */
export function occupancyOf(needs: BlockNeeds, gpu: Gpu): Occupancy {
  const warps = Math.ceil(needs.threads / WARP);
  const registers = warps * roundUp(needs.registers * WARP, REGISTER_UNIT);
  const shared = roundUp(needs.shared, SHARED_UNIT) + SHARED_RESERVED;
  const limits = [
    ["threads", Math.floor(gpu.threads / (warps * WARP))],
    ["blocks", gpu.blocks],
    ["registers", Math.floor(REGISTERS / Math.max(registers, 1))],
    ["shared memory", Math.floor(gpu.sharedBytes / shared)],
  ] as const;
  const [limit, blocks] = limits.reduce((least, one) => one[1] < least[1] ? one : least);
  return { blocks, share: blocks * warps * WARP / gpu.threads, limit };
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
