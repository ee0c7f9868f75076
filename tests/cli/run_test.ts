/**
 * The frame that all commands run in: look-up, exit codes, help.
 * @module
 */
import { Command } from "commander";
import assert from "node:assert/strict";
import { mock } from "node:test";
import { Exit, run } from "../../src/cli/run.ts";
import { Bug, PacacError } from "../../src/errors.ts";

/** Runs a command that does this, and gives exit code and output. */
async function outcome(
  action: () => void | Promise<void>,
  args: readonly string[] = ["act"],
): Promise<{ code: number; out: string; err: string }> {
  const out = mock.method(console, "log", () => {});
  const err = mock.method(console, "error", () => {});
  const said = (method: typeof out) =>
    method.mock.calls.map((call) => call.arguments[0]).join("\n");
  const load = () =>
    Promise.resolve(new Command().argument("[words...]").option("--fast").action(action));
  try {
    const code = await run(args, [{ name: "act", summary: "Acts", load }]);
    return { code, out: said(out), err: said(err) };
  } finally {
    out.mock.restore();
    err.mock.restore();
  }
}

Deno.test("run() ends with 0 and says nothing where all is well", async () => {
  assert.deepEqual(await outcome(() => {}), { code: 0, out: "", err: "" });
});

Deno.test("run() tells a user's error without a stack and ends with 1", async () => {
  const { code, out, err } = await outcome(() => {
    throw new PacacError("io", "Cannot read: gone", { place: { file: "a.ts" }, remedy: "look" });
  });
  assert.deepEqual({ code, out, err }, {
    code: 1,
    out: "",
    err: "error[io]: a.ts: Cannot read: gone\n  help: look",
  });
});

Deno.test.each([
  ["a Bug", new Bug("broken")],
  ["any other error", new TypeError("broken")],
])("run() tells %s with its stack and ends with 70", async (_, error) => {
  const { code, err } = await outcome(() => Promise.reject(error));
  assert.equal(code, 70);
  assert.match(err, /broken\n {4}at .*run_test\.ts/);
  assert.match(err, /bug in pacac/);
});

Deno.test("run() passes an Exit's code on", async () => {
  assert.equal((await outcome(() => Promise.reject(new Exit(130)))).code, 130);
});

Deno.test.each([
  [
    "an unknown flag",
    ["act", "--fist"],
    /Unknown option '--fist'\n {2}help: did you mean --fast\?/,
  ],
  ["an unknown command", ["atc"], /did you mean act\?/],
])("run() ends with 2 and a suggestion for %s", async (_, args, text) => {
  const { code, err } = await outcome(() => {}, args);
  assert.equal(code, 2);
  assert.match(err, text);
});

Deno.test("run() ends with 2 for an error of code usage", async () => {
  const error = new PacacError("usage", "Cannot: both");
  assert.equal((await outcome(() => Promise.reject(error))).code, 2);
});

Deno.test("run() strips one leading --, as npm users write it", async () => {
  const { code, out } = await outcome(() => {}, ["act", "--", "--help"]);
  assert.equal(code, 0);
  assert.match(out, /Usage: deno task act/);
});

Deno.test("run() lists the commands where none is named", async () => {
  const { code, out } = await outcome(() => {}, []);
  assert.equal(code, 0);
  assert.match(out, /deno task act +Acts/);
});
