/**
 * One process at a time in a run's folder.
 * @module
 */
import { equal, match, ok, throws } from "node:assert/strict";
import { join } from "node:path";
import { PacacError } from "../../src/errors.ts";
import { RunLock } from "../../src/train/run_lock.ts";

const MODULE = new URL("../../src/train/run_lock.ts", import.meta.url).href;

/** A process that holds a folder until it is killed. */
async function holder(folder: string): Promise<Deno.ChildProcess> {
  const code = `import { RunLock } from ${JSON.stringify(MODULE)};
    const lock = RunLock.take(${JSON.stringify(folder)});
    console.log("held");
    setInterval(() => lock, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  match(new TextDecoder().decode((await reader.read()).value), /held/);
  await reader.cancel();
  return child;
}

Deno.test("RunLock names the process that holds the folder, and a killed one holds nothing", async () => {
  const folder = Deno.makeTempDirSync();
  const child = await holder(folder);
  throws(() => RunLock.take(folder), (error) => {
    ok(error instanceof PacacError);
    equal(error.code, "io");
    ok(error.message.includes(`process ${child.pid}`), error.message);
    match(error.remedy, /--out/);
    return true;
  });
  child.kill("SIGKILL");
  await child.status;
  using _lock = RunLock.take(folder);
  equal(Deno.readTextFileSync(join(folder, "lock")), `${Deno.pid}\n`);
});

Deno.test("RunLock gives the folder back", () => {
  const folder = Deno.makeTempDirSync();
  {
    using _first = RunLock.take(folder);
    throws(() => RunLock.take(folder), { code: "io" });
  }
  using _second = RunLock.take(folder);
});
