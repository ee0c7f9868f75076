/**
 * kill -9 at random instants: what is in the folder is whole, and the run that goes on ends with the same bits.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const CHILD = fileURLToPath(new URL("./kill_child.ts", import.meta.url));
const STEPS = 200;

/** Kills in a test run; PACAC_KILLS asks for more. */
const KILLS = Number(Deno.env.get("PACAC_KILLS") ?? 6);

function start(dir: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, dir, `${STEPS}`],
    stderr: "inherit",
  }).spawn();
}

interface Line {
  readonly type: string;
  readonly step: number;
  readonly loss?: number;
}

/** What must not depend on kills: times do. */
function metricsOf(dir: string): string[] {
  const lines = readFileSync(join(dir, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Line)
    .filter(({ type }) => type === "step" || type === "eval")
    .map(({ type, step, loss }) => `${type} ${step} ${loss}`);
}

function checkpointOf(dir: string): [string, string][] {
  const folder = join(dir, "checkpoint");
  return readdirSync(folder).sort().map((
    name,
  ) => [name, readFileSync(join(folder, name)).toString("hex")]);
}

const stepOf = (dir: string): number => {
  const path = join(dir, "checkpoint", "checkpoint.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as { step: number }).step : 0;
};

Deno.test(`${KILLS} kills at random instants, then the same bits as without`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  let random = seed;
  const next = () => (random = (random * 48271 + 1) % 2147483647) / 2147483647;
  const whole = Deno.makeTempDirSync(), killed = Deno.makeTempDirSync();
  const began = performance.now();
  equal((await start(whole).status).code, 0);
  const length = performance.now() - began;
  let inTheRun = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = stepOf(killed);
    const child = start(killed);
    const timer = setTimeout(() => child.kill("SIGKILL"), length * (0.1 + 0.5 * next()));
    const { signal } = await child.status;
    clearTimeout(timer);
    ok(stepOf(killed) >= before, "a checkpoint went back");
    if (signal === "SIGKILL" && stepOf(killed) > 0 && stepOf(killed) < STEPS) inTheRun++;
  }
  equal((await start(killed).status).code, 0);
  console.log(`${inTheRun} of ${KILLS} kills fell between the first checkpoint and the last`);
  deepEqual(checkpointOf(killed), checkpointOf(whole));
  deepEqual(metricsOf(killed), metricsOf(whole));
});
