/**
 * Compiles CUDA sources where nvcc is installed: to PTX for the emulator, and to what ptxas says. Keeps what it wrote by content.
 * @module
 */
import { Cache, keyOf } from "../../src/build/cache.ts";
import { type KernelResources, parsePtxas } from "../../src/emulator/mod.ts";
import { NATIVE } from "../../src/build/toolchain.ts";

/** What nvcc says of itself, or undefined where there is none. */
export const NVCC: string | undefined = nvccVersion();

function nvccVersion(): string | undefined {
  try {
    const { success, stdout } = new Deno.Command("nvcc", { args: ["--version"], stderr: "null" })
      .outputSync();
    return success ? new TextDecoder().decode(stdout).trim().split("\n").at(-1) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * A test that needs nvcc: skipped, and counted as such, where there is none.
 * @param name Its name
 * @param fn The test
 */
export function cudaTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({
    name: NVCC === undefined ? `${name} (needs nvcc)` : name,
    ignore: NVCC === undefined,
    fn,
  });
}

/** Extra definitions and the like. */
export interface NvccOptions {
  readonly flags?: readonly string[];
}

/**
 * PTX of a source.
 * @param source CUDA C++
 * @param options More flags
 * @throws {Error} with what nvcc says
 */
export async function ptxOf(source: string, options: NvccOptions = {}): Promise<string> {
  const flags = ["-std=c++20", "-arch=sm_80", "-lineinfo", `-I${NATIVE}`, ...options.flags ?? []];
  const key = keyOf(NVCC ?? "", source, headers(), ...flags);
  return await new Cache().textLater(key, async () => {
    return await inFolder(source, async (folder) => {
      const { success, stderr } = await nvcc(
        ["-ptx", ...flags, `${folder}/kernel.cu`, "-o", `${folder}/kernel.ptx`],
      );
      if (!success) throw new Error(stderr);
      return await Deno.readTextFile(`${folder}/kernel.ptx`);
    });
  });
}

/**
 * What ptxas says of a source: registers, spills, static shared memory of every kernel.
 * @param source CUDA C++
 * @param arch `sm_90`
 * @param flags More flags
 * @throws {Error} with what nvcc says
 */
export async function resourcesOf(
  source: string,
  arch: string,
  flags: readonly string[] = [],
): Promise<KernelResources[]> {
  const all = ["-std=c++20", `-arch=${arch}`, "-Xptxas", "-v", `-I${NATIVE}`, ...flags];
  const key = keyOf(NVCC ?? "", source, headers(), ...all);
  const said = await new Cache().textLater(key, async () => {
    return await inFolder(source, async (folder) => {
      const { success, stderr } = await nvcc(
        ["-cubin", ...all, `${folder}/kernel.cu`, "-o", `${folder}/kernel.cubin`],
      );
      if (!success) throw new Error(stderr);
      return stderr;
    });
  });
  return parsePtxas(said);
}

/**
 * What ptxas says of PTX, compiled on for another part.
 * @param ptx Of {@linkcode ptxOf}
 * @param arch `sm_90`
 * @throws {Error} with what nvcc says
 */
export async function resourcesOfPtx(ptx: string, arch: string): Promise<KernelResources[]> {
  const said = await new Cache().textLater(keyOf(NVCC ?? "", ptx, arch, "ptxas"), async () => {
    return await inFolder(ptx, async (folder) => {
      await Deno.rename(`${folder}/kernel.cu`, `${folder}/kernel.ptx`);
      const { success, stderr } = await nvcc(
        [
          ...["-cubin", `-arch=${arch}`, "-Xptxas", "-v"],
          `${folder}/kernel.ptx`,
          "-o",
          "/dev/null",
        ],
      );
      if (!success) throw new Error(stderr);
      return stderr;
    });
  });
  return parsePtxas(said);
}

/**
 * A source with pacac's headers in the place of their `#include` lines, each once.
 * @param source CUDA C++
 */
export function withHeaders(source: string): string {
  const seen = new Set<string>();
  const expand = (text: string): string =>
    text.replaceAll(/^#include "(cuda\/\w+\.cuh)"$/gm, (_, name: string) => {
      if (seen.has(name)) return "";
      seen.add(name);
      return expand(Deno.readTextFileSync(`${NATIVE}/${name}`).replace("#pragma once", ""));
    });
  return expand(source);
}

async function inFolder<T>(source: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "pacac-nvcc-" });
  try {
    await Deno.writeTextFile(`${folder}/kernel.cu`, source);
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

let running = 0;
const waiting: (() => void)[] = [];

/** Runs nvcc, no more at a time than there are processors. */
async function nvcc(args: string[]): Promise<{ success: boolean; stderr: string }> {
  if (running >= navigator.hardwareConcurrency) {
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running++;
  try {
    const { success, stderr } = await new Deno.Command("nvcc", { args }).output();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

let text: string | undefined;

/** All headers that a kernel may include, as one text. */
function headers(): string {
  text ??= [...Deno.readDirSync(`${NATIVE}/cuda`)].map(({ name }) => name)
    .filter((name) => name.endsWith(".cuh")).sort()
    .map((name) => Deno.readTextFileSync(`${NATIVE}/cuda/${name}`)).join("\n");
  return text;
}
