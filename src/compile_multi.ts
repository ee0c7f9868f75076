/**
 * `--isa multi`: a program that is moved to other machines. It is compiled once for each instruction set of this kind of
 * processor, each into a folder of its own that is a whole program; a module above them loads the best that there is.
 *
 * Kernels for other vectors have other tiles and other scratch, so the plans differ too: whole programs keep each of them
 * readable, and nothing else of pacac need know that there are several.
 * @module
 */
import { compile, type Compiled, type CompileOptions } from "./compile.ts";
import { Cache } from "./build/mod.ts";
import { cpuInfo } from "./build/processor.ts";
import { emitVariants, writeGenerated } from "./emit/mod.ts";
import { must, PacacError } from "./errors.ts";
import type { FineTuneSpec } from "./spec/description.ts";
import { type IsaName, isasOf, isasOfArchitecture } from "./targets/cpu/isas.ts";

/**
 * Compiles a description for every instruction set of this kind of processor.
 * @param loaded The description and its path
 * @param options As for one; `isa` is not read
 * @returns The best of this machine, with all seconds and names
 * @throws {PacacError} usage, for another target than the cpu; what compile() throws
 */
export async function compileMulti(
  loaded: { readonly spec: FineTuneSpec; readonly path: string },
  options: CompileOptions,
): Promise<Compiled> {
  const { target, outDir, build = true, decode, onProgress } = options;
  if (target !== "cpu") {
    throw new PacacError("usage", `Cannot compile for several instruction sets on ${target}`, {
      place: { field: "--isa" },
      remedy: "use --target cpu, or leave --isa out",
    });
  }
  const names = isasOfArchitecture(Deno.build.arch), here = isasOf(cpuInfo());
  const programs = new Map<IsaName, Compiled>();
  for (const isa of names) {
    const compiled = await compile(loaded, {
      ...options,
      isa,
      elsewhere: !here.includes(isa),
      outDir: `${outDir}/${isa}`,
      ...(onProgress && { onProgress: (text) => onProgress(`${isa}: ${text}`) }),
    });
    programs.set(isa, compiled);
  }
  const first = must(names.find((isa) => here.includes(isa)), "plain runs everywhere");
  const best = must(programs.get(first), "a program");
  const planText = `${variantsText(programs, here)}\n${best.planText}`;
  if (build) {
    const memo = new Cache();
    const info = best.plan.info;
    const entry = await emitVariants(info, { variants: names, decode: decode !== undefined, memo });
    writeGenerated(outDir, [
      { file: entry.file, content: entry.source },
      { file: "plan.txt", content: planText },
    ]);
  }
  return {
    ...best,
    dir: outDir,
    planText,
    seconds: summed([...programs.values()]),
    warm: [...programs.values()].every(({ warm }) => warm),
    variants: names,
  };
}

function variantsText(
  programs: ReadonlyMap<IsaName, Compiled>,
  here: readonly IsaName[],
): string {
  const lines = [...programs].map(([isa, { plan }]) => {
    const where = here.includes(isa) ? "" : ", not on this processor";
    return `  ${isa.padEnd(12)}  arena ${(plan.arenaBytes / 1e6).toFixed(1)} MB${where}`;
  });
  return ["instruction sets, the first that a processor has is loaded", ...lines, ""].join("\n");
}

function summed(all: readonly Compiled[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { seconds } of all) {
    for (const [stage, took] of Object.entries(seconds)) sums[stage] = (sums[stage] ?? 0) + took;
  }
  return sums;
}
