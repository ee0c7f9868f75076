/**
 * Precompiles the headers that every kernel includes: reading the processor's intrinsics takes longer than most kernels' own code.
 * @module
 */
import { type Cache, keyOf } from "./cache.ts";
import { runCompiler } from "./compiler.ts";
import type { Headers } from "./headers.ts";
import type { Toolchain } from "./toolchain.ts";

/** What kernels include, directly or not. */
const TEXT = '#include "cpu/gemm.hpp"\n';

/** Fewer kernels than this are compiled sooner without. */
export const WORTH_IT = 6;

/** What {@linkcode precompile} takes beside the toolchain. */
export interface PrecompileOptions {
  readonly cache: Cache;
  readonly headers: Headers;
  /** Exactly the flags of the compilations that follow: a compiler takes no other. */
  readonly flags: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes the precompiled headers, where the cache has none.
 * @param toolchain The compiler; only g++ finds them by the name used here
 * @param options Cache, flags
 * @returns Flags that make a kernel's compilation use them
 * @throws {PacacError} build-failed, io
 */
export async function precompile(
  toolchain: Toolchain,
  options: PrecompileOptions,
): Promise<readonly string[]> {
  if (!toolchain.version.startsWith("g++")) return [];
  const { cache, headers, flags, signal } = options;
  const key = keyOf(
    "precompiled",
    toolchain.version,
    toolchain.machine,
    ...flags,
    headers.hash(TEXT),
  );
  const header = cache.path(key, ".hpp");
  const entry = `${header}.gch`;
  if (!cache.has(entry)) {
    const text = cache.temporary(header);
    Deno.writeTextFileSync(text, TEXT);
    const temporary = cache.temporary(entry);
    const args = [...flags, "-x", "c++-header", text, "-o", temporary];
    await runCompiler(toolchain, { args, file: "native/cpu/gemm.hpp", signal });
    cache.publish(text, header);
    cache.publish(temporary, entry);
  }
  return ["-include", header];
}
