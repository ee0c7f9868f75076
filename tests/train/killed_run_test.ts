/**
 * The native program of the embedded model, killed five times and resumed from its folder alone. `deno task test:kill` does it
 * fifty times in 200 steps.
 * @module
 */
import { ok } from "node:assert/strict";
import { checkKilledRuns } from "../support/killed_run.ts";

Deno.test("five kill -9 of a real run, then the same bits as without", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { early, inTheRun, late } = await checkKilledRuns({ kills: 5, steps: 16, seed });
  ok(early + inTheRun > late, `${early} early, ${inTheRun} in the run, ${late} late, seed ${seed}`);
});
