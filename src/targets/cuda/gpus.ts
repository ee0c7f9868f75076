/**
 * GPUs that predictions can be made for: peaks and limits from NVIDIA's data sheets and the CUDA programming guide's table of
 * compute capabilities. Dense bf16 with float32 sums; boost clocks; SXM parts where there are several.
 * @module
 */

/** A GPU, as far as predictions and occupancy need it. */
export interface Gpu {
  readonly name: string;
  /** `-arch` of nvcc. */
  readonly arch: string;
  readonly multiprocessors: number;
  /** bf16 multiply-adds on tensor cores count as two. */
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly memoryBytes: number;
  /** Of a multiprocessor. */
  readonly sharedBytes: number;
  readonly threads: number;
  readonly blocks: number;
}

/** 32-bit registers of a multiprocessor, of every part since sm_70. */
export const REGISTERS = 65536;

const GPUS = {
  a100: {
    name: "A100 SXM 80 GB",
    arch: "sm_80",
    multiprocessors: 108,
    flopsPerSecond: 312e12,
    bytesPerSecond: 2039e9,
    memoryBytes: 80e9,
    sharedBytes: 164 * 1024,
    threads: 2048,
    blocks: 32,
  },
  h100: {
    name: "H100 SXM 80 GB",
    arch: "sm_90",
    multiprocessors: 132,
    flopsPerSecond: 989e12,
    bytesPerSecond: 3352e9,
    memoryBytes: 80e9,
    sharedBytes: 228 * 1024,
    threads: 2048,
    blocks: 32,
  },
  rtx4090: {
    name: "RTX 4090",
    arch: "sm_89",
    multiprocessors: 128,
    flopsPerSecond: 165e12,
    bytesPerSecond: 1008e9,
    memoryBytes: 24e9,
    sharedBytes: 100 * 1024,
    threads: 1536,
    blocks: 24,
  },
  l40s: {
    name: "L40S",
    arch: "sm_89",
    multiprocessors: 142,
    flopsPerSecond: 362e12,
    bytesPerSecond: 864e9,
    memoryBytes: 48e9,
    sharedBytes: 100 * 1024,
    threads: 1536,
    blocks: 24,
  },
} as const satisfies Readonly<Record<string, Gpu>>;

/** Names that {@linkcode gpuOf} knows. */
export const GPU_NAMES = Object.keys(GPUS) as readonly (keyof typeof GPUS)[];

/**
 * A GPU by name, or undefined.
 * @param name As in {@linkcode GPU_NAMES}
 */
export function gpuOf(name: string): Gpu | undefined {
  return Object.hasOwn(GPUS, name) ? GPUS[name as keyof typeof GPUS] : undefined;
}
