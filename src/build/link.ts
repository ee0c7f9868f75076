/**
 * Links object files to an addon that shows nothing but Node's entry points.
 * @module
 */
import { type Cache, keyOf } from "./cache.ts";
import { runCompiler } from "./compiler.ts";
import { findToolchain, type Toolchain } from "./toolchain.ts";

/** On Linux only these are seen from outside, so our operator new stays ours. */
const EXPORTS =
  "{ global: napi_register_module_v1; node_api_module_get_api_version_v1; local: *; };\n";

/**
 * Links an addon, where the cache has none of these objects.
 * @param objects Object files
 * @param options Cache, what links
 * @returns The key of all that it is made of, and where it lies in the cache
 * @throws {PacacError} build-failed, io
 */
export async function linkAddon(
  objects: readonly string[],
  { cache, toolchain, signal }: {
    readonly cache: Cache;
    readonly toolchain: Toolchain;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ key: string; entry: string }> {
  const flags = linkFlags(toolchain);
  const key = keyOf("link", toolchain.version, toolchain.machine, ...flags, ...objects);
  const entry = cache.path(key, ".node");
  if (cache.has(entry)) return { key, entry };
  const temporary = cache.temporary(entry);
  const exported = `${temporary}.map`;
  try {
    Deno.writeTextFileSync(exported, EXPORTS);
    const unique = [...new Set(objects)];
    const args = [...flags, ...scriptFlags(toolchain, exported), ...unique, "-o", temporary];
    await runCompiler(toolchain, { args, file: "addon", signal });
    cache.publish(temporary, entry);
  } finally {
    for (const path of [exported, temporary]) remove(path);
  }
  return { key, entry };
}

/** Names are resolved on loading: one that is missing shows in the probe, not in the middle of a step. */
function linkFlags({ kind }: Toolchain): string[] {
  if (kind === "nvcc") {
    const host = ["-ccbin", findToolchain().compiler];
    // The runtime is linked in and looks for the driver only when it is called: the addon loads where there is none.
    return ["-shared", "-cudart", "static", ...host, "-Xlinker", "-s", "-Xlinker", "-z,now"];
  }
  if (Deno.build.os === "darwin") return ["-shared", "-undefined", "dynamic_lookup", "-Wl,-x"];
  return ["-shared", "-pthread", "-s", "-Wl,-z,now"];
}

function scriptFlags({ kind }: Toolchain, file: string): string[] {
  if (kind === "nvcc") return ["-Xlinker", `--version-script=${file}`];
  return Deno.build.os === "darwin" ? [] : [`-Wl,--version-script=${file}`];
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
