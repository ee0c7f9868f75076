/**
 * Holds all programs to one instruction set, so that a processor with more of them can stand for one with less.
 * @module
 */
import { cpuInfo } from "../../src/build/processor.ts";
import { type IsaName, isasOf, isIsaName } from "../../src/targets/cpu/isas.ts";

/** What PyTorch, MKL, oneDNN and OpenBLAS read when they start, each with its own names. */
const LIMITS: Readonly<Partial<Record<IsaName, Readonly<Record<string, string>>>>> = {
  avx2: {
    ATEN_CPU_CAPABILITY: "avx2",
    MKL_ENABLE_INSTRUCTIONS: "AVX2",
    ONEDNN_MAX_CPU_ISA: "AVX2",
    OPENBLAS_CORETYPE: "Haswell",
  },
  avx512: {
    ATEN_CPU_CAPABILITY: "avx512",
    MKL_ENABLE_INSTRUCTIONS: "AVX512",
    ONEDNN_MAX_CPU_ISA: "AVX512_CORE",
    OPENBLAS_CORETYPE: "SkylakeX",
  },
};

/** An instruction set, and what holds the libraries to it. */
export interface Held {
  readonly isa: IsaName;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * What a name on the command line asks for.
 * @param name `native` (all that the processor has, nobody held to anything), or one that PyTorch can be held to
 * @returns undefined for other names, and for what this processor does not have
 */
export function heldTo(name: string): Held | undefined {
  const here = isasOf(cpuInfo());
  if (name === "native") return { isa: here[0], environment: {} };
  const environment = isIsaName(name) && here.includes(name) ? LIMITS[name] : undefined;
  return isIsaName(name) && environment !== undefined ? { isa: name, environment } : undefined;
}

/** The names, for a usage. */
export const HELD_NAMES: string = ["native", ...Object.keys(LIMITS)].join(", ");
