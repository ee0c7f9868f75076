/**
 * The long kill test, `deno task test:kill`: fifty kills at random instants of a run of 200 steps, then the same bits as without.
 * @module
 */
// deno-lint-ignore-file no-console -- a program that reports
import { checkKilledRuns } from "../support/killed_run.ts";

const [kills = "50", steps = "200", given] = Deno.args;
const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
console.log(`${kills} kills in ${steps} steps, seed ${seed}`);
const began = performance.now();
const { early, inTheRun, late, repeated } = await checkKilledRuns({
  kills: Number(kills),
  steps: Number(steps),
  seed,
  onKill: console.log,
});
const minutes = ((performance.now() - began) / 60_000).toFixed(1);
console.log(
  `same bits after ${inTheRun} kills in the run, ${early} before a process's first step, ${late} behind the last; ` +
    `${repeated} steps were taken again; ${minutes} min`,
);
