/**
 * Runs the compiler, and makes an error of what it says.
 * @module
 */
import { PacacError } from "../errors.ts";
import type { Toolchain } from "./toolchain.ts";

/**
 * Runs the compiler.
 * @param toolchain Which
 * @param job Arguments, the file that messages are about, a signal that stops it
 * @throws {PacacError} build-failed
 */
export async function runCompiler(
  toolchain: Toolchain,
  job: {
    readonly args: readonly string[];
    readonly file: string;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const command = new Deno.Command(toolchain.compiler, {
    args: [...job.args],
    stdout: "null",
    stderr: "piped",
    env: { LC_ALL: "C" },
    ...(job.signal === undefined ? {} : { signal: job.signal }),
  });
  const { success, stderr } = await command.output();
  job.signal?.throwIfAborted();
  if (!success) throw buildFailure(new TextDecoder().decode(stderr), job.file);
}

/** Lines of a compiler's messages that an error repeats. */
const MESSAGE_LINES = 12;

function buildFailure(messages: string, file: string): PacacError {
  const lines = messages.split("\n").filter((line) => line.trim() !== "");
  const first = lines.findIndex((line) => / (fatal )?error: /.test(line));
  const match = lines[Math.max(first, 0)]?.match(
    /^(.*?):(\d+)(?::(\d+))?: (?:fatal )?error: (.*)$/,
  );
  const shown = lines.slice(Math.max(first, 0), Math.max(first, 0) + MESSAGE_LINES).join("\n");
  const place = match === null || match === undefined
    ? { file }
    : { file: match[1], line: Number(match[2]), column: Number(match[3] ?? 1) };
  return new PacacError(
    "build-failed",
    `Cannot compile: ${match?.[4] ?? "the compiler failed"}\n${shown}`,
    {
      place,
      remedy: "this is generated code: please report it with these lines",
    },
  );
}
