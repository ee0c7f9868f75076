/**
 * Holds all programs to one instruction set, so that a processor with more of them can stand for one with less.
 * @module
 */
import { cpuInfo } from "../../src/build/processor.ts";
import { type IsaName, isasOf } from "../../src/targets/cpu/isas.ts";
import { misused } from "./flags.ts";

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

/** The names that {@linkcode heldTo} takes, for a usage. */
export const HELD_NAMES: string = ["native", ...Object.keys(LIMITS)].join(", ");

/**
 * An instruction set, and the environment that holds the libraries to it; ends the process where a name is none of them.
 * @param name `native` (all that the processor has, nobody held to anything), or one that PyTorch can be held to
 * @param usage How the command is called
 */
export function heldTo(
  name: string,
  usage: string,
): { readonly isa: IsaName; readonly environment: Readonly<Record<string, string>> } {
  const here = isasOf(cpuInfo());
  if (name === "native") return { isa: here[0], environment: {} };
  const isa = here.find((one) => one === name);
  const environment = isa === undefined ? undefined : LIMITS[isa];
  if (isa !== undefined && environment !== undefined) return { isa, environment };
  misused(
    usage,
    `Cannot hold all to --isa ${name}: use one of ${HELD_NAMES} that this processor has`,
  );
}
