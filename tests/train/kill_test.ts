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

const wait = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

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
  let random = seed;
  const next = () => (random = (random * 48271 + 1) % 2147483647) / 2147483647;
  const whole = Deno.makeTempDirSync(), killed = Deno.makeTempDirSync();
  equal((await start(whole).status).code, 0);
  let inTheRun = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = stepOf(killed);
    const child = start(killed);
    // The next stretch of the run, and a moment more, so that a kill falls anywhere between two steps.
    const from = (STEPS - 20) * kill / KILLS;
    const until = performance.now() + 20_000;
    while (stepOf(killed) < from + 1 && performance.now() < until) await wait(1);
    await wait(25 * next());
    child.kill("SIGKILL");
    const { signal } = await child.status;
    ok(stepOf(killed) >= before, "a checkpoint went back");
    if (signal === "SIGKILL" && stepOf(killed) > 0 && stepOf(killed) < STEPS) inTheRun++;
  }
  equal((await start(killed).status).code, 0);
  ok(inTheRun > 0.8 * KILLS, `${inTheRun} of ${KILLS} kills fell into the run, seed ${seed}`);
  deepEqual(checkpointOf(killed), checkpointOf(whole), `seed ${seed}`);
  deepEqual(metricsOf(killed), metricsOf(whole), `seed ${seed}`);
});
