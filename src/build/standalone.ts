/**
 * Gathers the files of a standalone program: what was generated for it, and those of pacac's own sources that it needs.
 * @module
 */
import type { Source } from "./compile.ts";
import { Headers } from "./headers.ts";
import { NATIVE } from "./toolchain.ts";

/** pacac's own sources in every standalone program. */
const OWN = ["cuda/runtime/engine.cpp", "cuda/standalone/peaks.cu"] as const;

/**
 * The program's files: generated ones as they are, pacac's own under include/.
 * @param generated main.cpp, program.cpp, schedule.cpp, kernels
 */
export function standaloneFiles(generated: readonly Source[]): Source[] {
  const headers = new Headers();
  const files = new Map<string, string>();
  for (const name of OWN) files.set(name, Deno.readTextFileSync(`${NATIVE}/${name}`));
  for (const source of [...generated.map(({ source }) => source), ...files.values()]) {
    for (const [name, text] of headers.reached(source)) files.set(name, text);
  }
  const own = [...files].sort(([a], [b]) => a < b ? -1 : 1);
  return [...generated, ...own.map(([name, source]) => ({ file: `include/${name}`, source }))];
}
