/**
 * GPUs that plans are predicted for: peaks from NVIDIA's data sheets, limits of an SM from the CUDA C++ Programming Guide ("Technical
 * Specifications per Compute Capability"). Dense bf16 with float32 sums, boost clocks, SXM parts where there are several. The L2
 * cache's rate is 5120 bytes a clock on the A100 (NVIDIA's white paper on it); of the others none is published: 5120 is assumed of the
 * H100, 2048 of the two that have no HBM.
 * @module
 */
import type { Machine } from "../target.ts";
import { SM_80_LIMITS } from "./occupancy.ts";

/** Compute capability 8.9. */
const ADA = { threads: 1536, blocks: 24, registers: 65536, sharedBytes: 100 * 1024 };

const GPUS = {
  a100: {
    processor: "A100 SXM 80 GB",
    flopsPerSecond: 312e12,
    bytesPerSecond: 2039e9,
    cacheBytesPerSecond: 5120 * 1.41e9,
    multiprocessors: SM_80_LIMITS,
  },
  h100: {
    processor: "H100 SXM 80 GB",
    flopsPerSecond: 989e12,
    bytesPerSecond: 3352e9,
    cacheBytesPerSecond: 5120 * 1.83e9,
    multiprocessors: { ...SM_80_LIMITS, count: 132, sharedBytes: 228 * 1024 },
  },
  rtx4090: {
    processor: "RTX 4090",
    flopsPerSecond: 165e12,
    bytesPerSecond: 1008e9,
    cacheBytesPerSecond: 2048 * 2.52e9,
    multiprocessors: { ...ADA, count: 128 },
  },
  l40s: {
    processor: "L40S",
    flopsPerSecond: 362e12,
    bytesPerSecond: 864e9,
    cacheBytesPerSecond: 2048 * 2.49e9,
    multiprocessors: { ...ADA, count: 142 },
  },
} as const;

/** Compute capability of each. */
const ARCHITECTURES = { a100: "sm_80", h100: "sm_90", rtx4090: "sm_89", l40s: "sm_89" } as const;

/** A name of a GPU. */
export type GpuName = keyof typeof GPUS;

/**
 * A GPU as a machine of assumed rates: nothing was measured.
 * @param name Its name
 */
export function gpuMachine(name: GpuName): Machine {
  return { ...GPUS[name], threads: 1, measured: false };
}

/**
 * The architecture that a GPU runs.
 * @param name Its name
 */
export function architectureOf(name: GpuName): `sm_${number}` {
  return ARCHITECTURES[name];
}
