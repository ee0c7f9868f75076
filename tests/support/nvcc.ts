/**
 * Compiles CUDA sources to PTX for the emulator, where nvcc is installed; keeps what it wrote by content.
 * @module
 */
import { Cache, keyOf } from "../../src/build/cache.ts";
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
    const folder = await Deno.makeTempDir({ prefix: "pacac-nvcc-" });
    try {
      await Deno.writeTextFile(`${folder}/kernel.cu`, source);
      const { success, stderr } = await new Deno.Command("nvcc", {
        args: ["-ptx", ...flags, `${folder}/kernel.cu`, "-o", `${folder}/kernel.ptx`],
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      return await Deno.readTextFile(`${folder}/kernel.ptx`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

let text: string | undefined;

/** All headers that a kernel may include, as one text. */
function headers(): string {
  text ??= [...Deno.readDirSync(`${NATIVE}/cuda`)].map(({ name }) => name).sort()
    .map((name) => Deno.readTextFileSync(`${NATIVE}/cuda/${name}`)).join("\n");
  return text;
}
