/**
 * A run that tests kill: goes on from its folder's checkpoint where there is one.
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pack } from "../../src/train/data/pack.ts";
import { loadTrainer } from "../../src/train/load.ts";
import { JsonlLogger } from "../../src/train/logger.ts";
import { RunLock } from "../../src/train/run_lock.ts";
import { FakeEngine } from "./fake_engine.ts";

const [dir, steps] = Deno.args;
const data = pack(
  Array.from({ length: 40 }, (_, d) => ({
    ids: Int32Array.from({ length: 3 + d % 5 }, (_, t) => (d + t * 3) % 11),
    supervised: new Uint8Array(3 + d % 5).fill(1),
  })),
  { seqLen: 8 },
);
using _lock = RunLock.take(dir);
const trainer = await loadTrainer(new FakeEngine({}), { init: { seed: 1 }, seed: 9 });
const checkpoint = join(dir, "checkpoint");
if (existsSync(join(checkpoint, "checkpoint.json"))) await trainer.loadCheckpoint(checkpoint);
using metrics = new JsonlLogger(join(dir, "metrics.jsonl"), trainer.stepsDone);
const options = { data, validation: data, steps: Number(steps), checkpoint, keep: 2 };
for await (const event of trainer.train({ ...options, saveEvery: 3, evaluateEvery: 10 })) {
  metrics.log(event);
  await new Promise((resume) => setTimeout(resume, 3));
}
