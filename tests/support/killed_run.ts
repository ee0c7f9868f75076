/**
 * Real runs under kill -9: the train task's own command on the embedded model's native program, killed again and again, resumed
 * from its folder alone, and compared bit by bit with a run that was left in peace.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { openSafetensors } from "../../src/formats/safetensors.ts";
import { inRepository } from "./paths.ts";

/** What {@linkcode checkKilledRuns} does. */
export interface KillOptions {
  readonly kills: number;
  readonly steps: number;
  readonly seed: number;
  /** Told after each kill. */
  readonly onKill?: (text: string) => void;
}

/** What happened. */
export interface KillReport {
  /** Kills that came before the first step of a process, between two checkpoints, and behind the last step. */
  readonly early: number;
  readonly inTheRun: number;
  readonly late: number;
  /** Steps that were taken again because their checkpoint was not written yet. */
  readonly repeated: number;
}

/** Share of kills that come at any time after a process began, whatever it has done by then. */
const BLIND = 0.3;
const START_MS = 4000;

/**
 * Runs to the end once in peace and once under kills, and compares.
 * @param options How often, how long, from which seed
 */
export async function checkKilledRuns(options: KillOptions): Promise<KillReport> {
  const folder = Deno.makeTempDirSync({ prefix: "pacac_kill_" });
  try {
    const [whole, killed] = [join(folder, "whole"), join(folder, "killed")];
    await toTheEnd(whole, options.steps);
    const report = await underKills(killed, options);
    await toTheEnd(killed, options.steps);
    for (const name of ["checkpoint", "best", "adapter"]) {
      deepEqual(bytesIn(join(killed, name)), bytesIn(join(whole, name)), name);
    }
    deepEqual(figuresIn(killed), figuresIn(whole));
    return report;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function underKills(
  dir: string,
  { kills, steps, seed, onKill }: KillOptions,
): Promise<KillReport> {
  let state = seed;
  const random = () => (state = (state * 48271 + 1) % 2147483647) / 2147483647;
  const report = { early: 0, inTheRun: 0, late: 0, repeated: 0 };
  for (let kill = 0; kill < kills; kill++) {
    const before = stepOf(dir), linesBefore = lastLine(dir);
    const child = start(dir, steps);
    const blind = random() < BLIND;
    const target = Math.min(
      steps - 1,
      Math.max(before + 1, Math.round(steps * (kill + 1) / kills)),
    );
    if (blind) await wait(START_MS * random());
    else await until(() => lastLine(dir) >= target, child);
    // A step and its checkpoint more, so that a kill falls anywhere between two of them.
    if (!blind) await wait(300 * random());
    const { signal } = await killed(child);
    const after = stepOf(dir), done = lastLine(dir);
    ok(after >= before, `the checkpoint went back from ${before} to ${after}, seed ${seed}`);
    requireWhole(dir);
    report.repeated += Math.max(0, done - after);
    if (signal === null || after >= steps) report.late++;
    else if (done <= linesBefore && after === before) report.early++;
    else report.inTheRun++;
    onKill?.(`kill ${kill + 1} of ${kills}: step ${done}, checkpoint ${after}`);
  }
  return report;
}

const wait = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

async function until(met: () => boolean, child: Deno.ChildProcess): Promise<void> {
  let ended = false;
  child.status.then(() => ended = true);
  const patience = performance.now() + 60_000;
  while (!met() && !ended && performance.now() < patience) await wait(2);
}

/** The task's command itself: a kill of `deno task` would leave its child alive. */
function start(dir: string, steps: number): Deno.ChildProcess {
  const config = JSON.parse(Deno.readTextFileSync(inRepository("deno.json"))) as {
    readonly tasks: { readonly train: { readonly command: string } };
  };
  const [, ...args] = config.tasks.train.command.split(" ");
  const isBegun = exists(join(dir, "run.json"));
  const begin = [
    ...["models/tiny.ts", "--data", "models/tiny/facts.jsonl", "--steps", `${steps}`],
    ...["--out", dir, "--save-every", "2", "--keep", "3", "--seed", "7"],
    ...["--validation", "0.02", "--evaluate-every", `${Math.ceil(steps / 5)}`],
  ];
  return new Deno.Command(Deno.execPath(), {
    args: [...args, ...isBegun ? ["--resume", dir] : begin],
    cwd: inRepository(""),
    env: { NO_COLOR: "1", INIT_CWD: inRepository("") },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function killed(child: Deno.ChildProcess): Promise<Deno.CommandStatus> {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
  const said = await new Response(child.stderr).text();
  const status = await child.status;
  ok(status.signal !== null || status.code === 0, said);
  return status;
}

async function toTheEnd(dir: string, steps: number): Promise<void> {
  const child = start(dir, steps);
  const said = await new Response(child.stderr).text();
  equal((await child.status).code, 0, said);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function stepOf(dir: string): number {
  const path = join(dir, "checkpoint", "checkpoint.json");
  return exists(path) ? (JSON.parse(Deno.readTextFileSync(path)) as { step: number }).step : 0;
}

interface Line {
  readonly type: string;
  readonly step: number;
  readonly loss?: number;
}

/** Whole lines of metrics.jsonl. */
function linesOf(dir: string): Line[] {
  const path = join(dir, "metrics.jsonl");
  if (!exists(path)) return [];
  const lines = Deno.readTextFileSync(path).split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

function lastLine(dir: string): number {
  return linesOf(dir).findLast(({ type }) => type === "step")?.step ?? 0;
}

/** What must not depend on kills: times do. */
function figuresIn(dir: string): string[] {
  return linesOf(dir).filter(({ type }) => type === "step" || type === "eval")
    .map(({ type, step, loss }) => `${type} ${step} ${loss}`);
}

function bytesIn(folder: string): [string, string][] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => [name, Deno.readFileSync(join(folder, name)).toHex()]);
}

/** Everything that has its name has its content. */
function requireWhole(dir: string): void {
  if (exists(join(dir, "run.json"))) JSON.parse(Deno.readTextFileSync(join(dir, "run.json")));
  for (const folder of ["checkpoint", "best"].map((name) => join(dir, name))) {
    if (!exists(join(folder, "checkpoint.json"))) continue;
    for (const { name } of Deno.readDirSync(folder)) {
      if (!name.endsWith(".json")) continue;
      const { state } = JSON.parse(Deno.readTextFileSync(join(folder, name))) as { state: string };
      openSafetensors(join(folder, state));
    }
  }
  const adapter = join(dir, "adapter");
  if (!exists(join(adapter, "adapter_config.json"))) return;
  JSON.parse(Deno.readTextFileSync(join(adapter, "adapter_config.json")));
  openSafetensors(join(adapter, "adapter_model.safetensors"));
}
