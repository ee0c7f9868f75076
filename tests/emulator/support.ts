/**
 * Kernels of tests/emulator/kernels, compiled by nvcc where it is installed; without it these tests are skipped and say so.
 * @module
 */
import { parse, type PtxModule } from "../../src/emulator/mod.ts";
import { inRepository } from "../support/paths.ts";

const NVCC = "nvcc";

function installed(): boolean {
  try {
    return new Deno.Command(NVCC, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether there is an nvcc. */
export const HAS_NVCC: boolean = installed();

/**
 * A test that needs nvcc.
 * @param name Its name
 * @param run What it does
 */
export function cudaTest(name: string, run: () => void): void {
  const needs = HAS_NVCC ? "" : " (skipped: needs nvcc)";
  Deno.test({ name: `${name}${needs}`, ignore: !HAS_NVCC, fn: run });
}

/** What {@linkcode compileKernels} takes beside the file. */
export interface KernelOptions {
  /** Macros, as BUG_SWIZZLE. */
  readonly defines?: readonly string[];
  /** Virtual architecture (default: sm_80). */
  readonly arch?: string;
  /** More flags of nvcc. */
  readonly flags?: readonly string[];
}

const compiled = new Map<string, string>();

/**
 * PTX of a file of kernels.
 * @param stem Name without its extension
 * @param options Macros, architecture
 */
export function ptxOf(stem: string, options: KernelOptions = {}): string {
  const { defines = [], arch = "sm_80", flags = [] } = options;
  const args = [
    "-ptx",
    "-lineinfo",
    `-arch=${arch}`,
    ...flags,
    ...defines.map((name) => `-D${name}`),
  ];
  const key = [stem, ...args].join(" ");
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const source = inRepository(`tests/emulator/kernels/${stem}.cu`);
  const { success, stdout, stderr } = new Deno.Command(NVCC, {
    args: [...args, source, "-o", "-"],
  }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const text = new TextDecoder().decode(stdout);
  compiled.set(key, text);
  return text;
}

/**
 * What ptxas says of a file of kernels.
 * @param stem Name without its extension
 * @param options Macros, architecture
 */
export function ptxasOf(stem: string, options: KernelOptions = {}): string {
  const { defines = [], arch = "sm_80", flags = [] } = options;
  const source = inRepository(`tests/emulator/kernels/${stem}.cu`);
  const macros = defines.map((name) => `-D${name}`);
  const { success, stderr } = new Deno.Command(NVCC, {
    args: [
      "-cubin",
      "-Xptxas",
      "-v",
      `-arch=${arch}`,
      ...flags,
      ...macros,
      source,
      "-o",
      "/dev/null",
    ],
  }).outputSync();
  const text = new TextDecoder().decode(stderr);
  if (!success) throw new Error(text);
  return text;
}

/**
 * A module of kernels.
 * @param stem Name of the file without its extension
 * @param options Macros, architecture
 */
export function compileKernels(stem: string, options: KernelOptions = {}): PtxModule {
  return parse(ptxOf(stem, options));
}

/** Numbers from −1 to 1, the same for the same seed. @param seed Whole number */
export function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 0x9e37_79b9) ^ 0x5bd1_e995;
  return () => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b_3c6d);
    state = Math.imul(state ^ state >>> 12, 0x297a_2d39) + 0x6d2b_79f5 | 0;
    return ((state ^ state >>> 15) >>> 0) / 2 ** 31 - 1;
  };
}

/** Random float32 values. @param length How many @param seed Whole number */
export function randomFloats(length: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, randomNumbers(seed));
}

/** Values of bfloat16 bits. @param bits As the device holds them */
export function fromBf16(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
}
