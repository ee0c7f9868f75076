/**
 * The instruction sets of the CPU target: what the compiler is told, and which of them a processor has.
 * @module
 */
import type { Isa } from "../target.ts";

/** Names of the instruction sets. */
export type IsaName = "plain" | "avx2" | "avx512" | "avx512_bf16" | "amx_bf16" | "neon";

const AVX2_FLAGS = ["-mavx2", "-mfma"] as const;
const AVX512_FLAGS = [
  ...AVX2_FLAGS,
  "-mavx512f",
  "-mavx512bw",
  "-mavx512vl",
  "-mavx512dq",
  "-mprefer-vector-width=512",
] as const;

/** Each instruction set; the macro among the flags chooses the vector header (native/cpu/vec.hpp). */
export const ISAS: Readonly<Record<IsaName, Isa>> = {
  plain: {
    name: "plain",
    lanes: 4,
    registers: 16,
    pairs: 0,
    flags: ["-DPACAC_ISA_PLAIN"],
  },
  avx2: {
    name: "avx2",
    lanes: 8,
    registers: 16,
    pairs: 0,
    flags: ["-DPACAC_ISA_AVX2", ...AVX2_FLAGS],
  },
  avx512: {
    name: "avx512",
    lanes: 16,
    registers: 32,
    pairs: 0,
    flags: ["-DPACAC_ISA_AVX512", ...AVX512_FLAGS],
  },
  avx512_bf16: {
    name: "avx512_bf16",
    lanes: 16,
    registers: 32,
    pairs: 1,
    flags: ["-DPACAC_ISA_AVX512_BF16", ...AVX512_FLAGS, "-mavx512bf16"],
  },
  amx_bf16: {
    name: "amx_bf16",
    lanes: 16,
    registers: 32,
    pairs: 16,
    flags: ["-DPACAC_ISA_AMX_BF16", ...AVX512_FLAGS, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
  },
  neon: {
    name: "neon",
    lanes: 4,
    registers: 32,
    pairs: 0,
    flags: ["-DPACAC_ISA_NEON"],
  },
};

/** What a processor must list in /proc/cpuinfo, best instruction set first. */
const AVX512_NEEDS = ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"] as const;
const NEEDS: readonly (readonly [IsaName, readonly string[]])[] = [
  ["amx_bf16", [...AVX512_NEEDS, "avx512_bf16", "amx_tile", "amx_bf16"]],
  ["avx512_bf16", [...AVX512_NEEDS, "avx512_bf16"]],
  ["avx512", AVX512_NEEDS],
  ["avx2", ["avx2", "fma"]],
  ["neon", ["asimd"]],
  ["plain", []],
];

/**
 * The instruction sets that a processor has, the best first; `plain` is always the last.
 * @param cpuinfo Text of /proc/cpuinfo; its lines `flags` (x86) and `Features` (Arm) are read
 */
export function isasOf(cpuinfo: string): IsaName[] {
  const listed = /^(?:flags|Features)[ \t]*:(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  const flags = new Set(listed.trim().split(/\s+/));
  return NEEDS.filter(([, needs]) => needs.every((flag) => flags.has(flag))).map(([name]) => name);
}

/** Instruction sets of a kind of processor, the best first: what a program carries that may be moved. */
const OF_ARCHITECTURE: Readonly<Record<string, readonly IsaName[]>> = {
  x86_64: ["amx_bf16", "avx512_bf16", "avx512", "avx2", "plain"],
  aarch64: ["neon", "plain"],
};

/**
 * The instruction sets of a kind of processor, the best first.
 * @param architecture `x86_64` or `aarch64`
 */
export function isasOfArchitecture(architecture: string): readonly IsaName[] {
  return OF_ARCHITECTURE[architecture] ?? ["plain"];
}

/**
 * Whether a name is one of the instruction sets.
 * @param name Any text
 */
export function isIsaName(name: string): name is IsaName {
  return Object.hasOwn(ISAS, name);
}
