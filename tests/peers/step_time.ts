/**
 * Fine-tuning steps of a compiled program, one at a time on request: the same conversation as step_time.py has.
 *
 * usage: step_time.ts FOLDER WEIGHTS. Takes a warm-up step and prints {"warmup_seconds"}; then every line on standard input is a
 * step, answered by {"seconds"}; the end of the input by {"peak_rss_mb"}.
 * @module
 */
// deno-lint-ignore-file no-console -- its lines are the answers
import process from "node:process";
import { createInterface } from "node:readline";
import { madeUpBatch } from "../../src/cli/bench/workload.ts";
import { loadOptions, openProgram } from "../../src/cli/program.ts";

const [folder, weights] = Deno.args;
const { module } = await openProgram(folder, { target: "cpu", isa: "native" });
await using trainer = await module.load(loadOptions({ weights }));
const { info } = trainer;
const batches = Array.from(
  { length: info.accumulate },
  (_, number) => madeUpBatch(info, { number }),
);

async function step(): Promise<number> {
  const begin = performance.now();
  await trainer.step(batches);
  return (performance.now() - begin) / 1e3;
}

const answer = (values: Readonly<Record<string, number>>) => console.log(JSON.stringify(values));
answer({ warmup_seconds: await step(), flops_per_step: info.accumulate * info.flopsPerStep });
for await (const _ of createInterface({ input: process.stdin })) answer({ seconds: await step() });
answer({ peak_rss_mb: process.resourceUsage().maxRSS / 1e3 });
