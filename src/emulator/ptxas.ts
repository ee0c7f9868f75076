/**
 * What can be said of a kernel without running it: registers and spills by `ptxas -v`, and counts in the PTX text.
 * @module
 */
import type { Instruction } from "./syntax.ts";

/** What ptxas made of a kernel. */
export interface KernelResources {
  readonly entry: string;
  /** `sm_80` */
  readonly arch: string;
  /** Of a thread. */
  readonly registers: number;
  /** Bytes of the stack of a thread. */
  readonly stack: number;
  readonly spillStores: number;
  readonly spillLoads: number;
  /** Static shared memory of a block, in bytes. */
  readonly shared: number;
  readonly barriers: number;
}

/**
 * Reads what `nvcc -Xptxas -v` says on standard error; lines about anything else are left out.
 * @param text Its output
 */
export function parsePtxas(text: string): KernelResources[] {
  const parts = text.split(/Compiling entry function '/).slice(1);
  return parts.map((part): KernelResources => {
    const number = (pattern: RegExp) => Number(part.match(pattern)?.[1] ?? 0);
    const [, entry = "", arch = ""] = part.match(/^([^']+)' for '([^']+)'/) ?? [];
    return {
      entry,
      arch,
      registers: number(/Used (\d+) registers/),
      stack: number(/(\d+) bytes stack frame/),
      spillStores: number(/(\d+) bytes spill stores/),
      spillLoads: number(/(\d+) bytes spill loads/),
      shared: number(/(\d+) bytes smem/),
      barriers: number(/used (\d+) barriers/),
    };
  });
}

/** Counts in a kernel's PTX: what the generator meant to write, before anything runs. */
export interface PtxCounts {
  readonly instructions: number;
  readonly mma: number;
  readonly ldmatrix: number;
  /** Copies by cp.async, commits and waits not counted. */
  readonly asyncCopies: number;
  readonly barriers: number;
  /** Loads and stores of device memory, and those of 16 bytes among them. */
  readonly global: number;
  readonly global16: number;
  /** Loads and stores of local memory: an array that is not in registers. */
  readonly local: number;
}

const SIXTEEN = /\.v4\.[bfus]32$|\.v2\.[bfus]64$/;

/**
 * Counts the instructions of a kernel by kind.
 * @param instructions Of the kernel
 */
export function countPtx(instructions: readonly Instruction[]): PtxCounts {
  const count = (test: RegExp) => instructions.filter(({ opcode }) => test.test(opcode)).length;
  const global = instructions.filter(({ opcode }) => /^(?:ld|st)\..*global/.test(opcode));
  return {
    instructions: instructions.length,
    mma: count(/^mma\./),
    ldmatrix: count(/^ldmatrix\./),
    asyncCopies: count(/^cp\.async\.c[ag]\./),
    barriers: count(/^(?:bar\.sync|barrier(?:\.cta)?\.sync)/),
    global: global.length,
    global16: global.filter(({ opcode }) => SIXTEEN.test(opcode)).length,
    local: count(/^(?:ld|st)\.local/),
  };
}
