/**
 * Occupancy: how many blocks of a launch an SM holds at a time, by threads, registers and shared memory (CUDA C++ Programming Guide,
 * "Hardware Multithreading"). Registers are what a kernel may have at most: tests hold ptxas to it.
 * @module
 */
import { must } from "../../errors.ts";
import type { Launch, Multiprocessors, Occupancy } from "../target.ts";

/** What an SM of sm_80 has: the part that kernels are compiled for, so the one that their heads speak of. */
export const SM_80_LIMITS: Multiprocessors = {
  count: 108,
  threads: 2048,
  blocks: 32,
  registers: 65536,
  sharedBytes: 164 * 1024,
};

/** Registers are given to a warp in groups of this many. */
const REGISTER_GROUP = 256;
/** Shared memory that the system takes of each block, and the grain of what is given. */
const SYSTEM_SHARED = 1024;
const SHARED_GRAIN = 128;

/**
 * How many blocks of a launch are on an SM at a time.
 * @param launch Threads, registers and shared memory of a block
 * @param sm What an SM has
 */
export function occupancy(launch: Launch, sm: Multiprocessors): Occupancy {
  const { threads, registers, shared, fixedShared } = launch;
  const warps = Math.ceil(threads / 32);
  const perWarp = Math.ceil(32 * registers / REGISTER_GROUP) * REGISTER_GROUP;
  const bytes = Math.ceil((shared + fixedShared) / SHARED_GRAIN) * SHARED_GRAIN + SYSTEM_SHARED;
  const limits = [
    ["threads", Math.floor(sm.threads / (32 * warps))],
    ["registers", Math.floor(sm.registers / (perWarp * warps))],
    ["shared memory", Math.floor(sm.sharedBytes / bytes)],
    ["blocks", sm.blocks],
  ] as const;
  const [limit, blocks] = limits.reduce((least, other) => other[1] < least[1] ? other : least);
  return { blocks, threads, limit, share: blocks * 32 * warps / sm.threads };
}

/**
 * What a generated header says of a call's launches, a line for each function.
 * @param launches The launches
 */
export function occupancyLines(launches: readonly Launch[]): string[] {
  const distinct = new Map(launches.map((launch) => [launch.entry, launch]));
  const several = distinct.size > 1;
  return [...distinct.values()].map((launch) => {
    const { blocks, threads, limit } = occupancy(launch, SM_80_LIMITS);
    const name = several ? `${launch.entry === "" ? "main" : launch.entry.slice(1)}: ` : "";
    const bytes = launch.shared + launch.fixedShared;
    return `${name}${blocks} x ${threads} threads an SM of sm_80 (bound by ${limit}): at most ` +
      `${launch.registers} registers, ${bytes} bytes of shared memory a block.`;
  });
}

/**
 * The launch with the most threads: the one that a call is about.
 * @param launches The launches
 */
export function largest(launches: readonly Launch[]): Launch {
  const size = ({ grid: [x, y, z], threads }: Launch) => x * y * z * threads;
  const [first] = launches.toSorted((a, b) => size(b) - size(a));
  return must(first, "a launch");
}

/**
 * The share of the SMs that work, on average, while a launch's blocks are done: whole rounds of blocks leave none idle.
 * @param launch The launch
 * @param sm The GPU
 */
export function busyShare({ grid: [x, y, z] }: Launch, { count }: Multiprocessors): number {
  const blocks = x * y * z;
  return blocks / (count * Math.ceil(blocks / count));
}
