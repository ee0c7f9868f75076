/**
 * Links object files to a shared object that a running program loads: candidates of the tuner.
 * @module
 */
import { runCompiler } from "./compiler.ts";
import { findToolchain } from "./toolchain.ts";

/**
 * Links a shared object.
 * @param objects Object files; names that are not hidden in them are seen from outside
 * @param options Where it goes
 * @throws {PacacError} toolchain-missing, build-failed
 */
export async function linkLibrary(
  objects: readonly string[],
  options: { readonly path: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { path, signal } = options;
  const kind = Deno.build.os === "darwin"
    ? ["-shared", "-undefined", "dynamic_lookup"]
    : ["-shared", "-pthread", "-s", "-Wl,-z,now"];
  const args = [...kind, ...new Set(objects), "-o", path];
  await runCompiler(findToolchain(), { args, file: "candidates", signal });
}
