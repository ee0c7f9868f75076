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
 * @param environment Variables, INIT_CWD among them, that are put back after it
 */
export async function runHere(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const all = { NO_COLOR: "1", ...environment };
  const before = Object.keys(all).map((name) => [name, Deno.env.get(name)] as const);
  Object.entries(all).forEach(([name, value]) => Deno.env.set(name, value));
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
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}
