/**
 * Tries a built addon in a child process first: one that crashes on loading would take the compiler with it.
 * @module
 */
import { PacacError } from "../errors.ts";
import { Cache, keyOf } from "./cache.ts";

/** Loads the addon, and makes and frees a program with it where the second argument says so. */
const SCRIPT = `
import process from "node:process";
const module = { exports: {} };
process.dlopen(module, Deno.args[0]);
const { NativeProgram } = module.exports;
if (typeof NativeProgram !== "function") throw new Error("it is not one of pacac's");
if (Deno.args[1] === "make") new NativeProgram({ threads: 1 }).dispose();
`;

/** What {@linkcode probeAddon} takes beside the addon. */
export interface ProbeOptions {
  /** Remembers what went well. */
  readonly cache?: Cache;
  /** false: load it only. A program for a GPU is made where there is one. Default true. */
  readonly make?: boolean;
}

/** How long loading may take. */
const TIMEOUT_MS = 30_000;

/**
 * Loads an addon in a child; once for each addon, which its name's hash tells apart.
 * @param path The addon
 * @param options The cache that remembers what went well; whether a program is made
 * @throws {PacacError} load-failed
 */
export async function probeAddon(path: string, options: ProbeOptions = {}): Promise<void> {
  const { make = true } = options;
  const cache = options.cache ?? new Cache();
  const name = path.slice(path.lastIndexOf("/") + 1);
  const { size } = Deno.statSync(path);
  const mark = cache.path(keyOf("probe", name, String(size), ...make ? [] : ["load"]), ".probed");
  if (cache.has(mark)) return;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--quiet",
      "--no-config",
      "--allow-ffi",
      `data:application/typescript,${encodeURIComponent(SCRIPT)}`,
      path,
      make ? "make" : "load",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const { success, signal, code, stderr } = await child.output();
  if (!success) throw probeFailure(path, { signal, code, text: new TextDecoder().decode(stderr) });
  const temporary = cache.temporary(mark);
  Deno.writeTextFileSync(temporary, `${path}\n`);
  cache.publish(temporary, mark);
}

function probeFailure(
  path: string,
  outcome: { readonly signal: string | null; readonly code: number; readonly text: string },
): PacacError {
  const last = outcome.text.split("\n").find((line) => line.includes("rror: "))?.trim();
  const state = outcome.signal !== null
    ? `it ends the process with ${outcome.signal}`
    : last?.replace(/^.*?rror: (Uncaught )?/, "") ?? `a test process ended with ${outcome.code}`;
  const illegal = outcome.signal === "SIGILL";
  return new PacacError("load-failed", `Cannot load the addon: ${state}`, {
    place: { file: path },
    remedy: illegal
      ? "this processor lacks the instruction set: compile with --isa native"
      : "delete the file and compile again",
  });
}
