/**
 * Ctrl-C, in a child that tells what it notices.
 * @module
 */
import assert from "node:assert/strict";

const PROGRAM = `
import { Interrupt } from ${JSON.stringify(new URL("../../src/cli/interrupt.ts", import.meta.url))};
const interrupt = new Interrupt("Stopping");
console.log("ready");
await new Promise((done) => interrupt.signal.addEventListener("abort", done));
console.log("asked to stop");
await new Promise((done) => setTimeout(done, 900));
console.log("saved");
Deno.exit(interrupt.exitCode);
`;

async function withChild(
  act: (child: Deno.ChildProcess, line: () => Promise<string>) => Promise<void>,
): Promise<{ code: number; rest: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", `data:application/typescript,${encodeURIComponent(PROGRAM)}`],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  const line = async () => {
    while (!buffer.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      buffer += value;
    }
    const [first, ...rest] = buffer.split("\n");
    buffer = rest.join("\n");
    return first;
  };
  await act(child, line);
  const { code } = await child.status;
  for (let next = await reader.read(); !next.done; next = await reader.read()) buffer += next.value;
  return { code, rest: buffer };
}

const onUnix = Deno.build.os !== "windows";

Deno.test("Interrupt takes two signals at once for one press", { ignore: !onUnix }, async () => {
  const { code, rest } = await withChild(async (child, line) => {
    assert.equal(await line(), "ready");
    child.kill("SIGINT");
    assert.equal(await line(), "asked to stop");
    child.kill("SIGINT");
  });
  assert.deepEqual({ code, rest }, { code: 130, rest: "saved\n" });
});

Deno.test("Interrupt ends at once at a second press", { ignore: !onUnix }, async () => {
  const { code, rest } = await withChild(async (child, line) => {
    assert.equal(await line(), "ready");
    child.kill("SIGINT");
    assert.equal(await line(), "asked to stop");
    await new Promise((done) => setTimeout(done, 600));
    child.kill("SIGINT");
  });
  assert.deepEqual({ code, rest }, { code: 130, rest: "" });
});

Deno.test("Interrupt answers SIGTERM with 143", { ignore: !onUnix }, async () => {
  const { code } = await withChild(async (child, line) => {
    assert.equal(await line(), "ready");
    child.kill("SIGTERM");
  });
  assert.equal(code, 143);
});
