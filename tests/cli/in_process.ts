/**
 * Commands run inside the test's process: no second for each to start, and what they say is caught.
 * @module
 */
import { mock } from "node:test";
import { COMMANDS } from "../../src/cli/main.ts";
import { run } from "../../src/cli/run.ts";

/** What a command did. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs a command.
 * @param args Its name and arguments
 * @param environment Variables, INIT_CWD among them; this thread alone sees them, others of the process run other tests
 */
export async function runHere(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const all: Readonly<Record<string, string>> = { NO_COLOR: "1", ...environment };
  const real = Deno.env.get.bind(Deno.env);
  const env = mock.method(Deno.env, "get", (name: string) => all[name] ?? real(name));
  const out = mock.method(console, "log", () => {});
  const err = mock.method(console, "error", () => {});
  const said = (method: typeof out) =>
    method.mock.calls.map((call) => call.arguments[0]).join("\n");
  try {
    const code = await run(args, COMMANDS);
    return { code, out: said(out), err: said(err) };
  } finally {
    out.mock.restore();
    err.mock.restore();
    env.mock.restore();
  }
}
