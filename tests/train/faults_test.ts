/**
 * Faults of the disk while a checkpoint is written: the n-th write, sync or rename fails, for every n there is.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PacacError } from "../../src/errors.ts";
import { type Disk, withDisk } from "../../src/formats/atomic.ts";
import { pack } from "../../src/train/data/pack.ts";
import { loadTrainer } from "../../src/train/load.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { FakeEngine } from "./fake_engine.ts";

const data = pack(
  Array.from({ length: 12 }, (_, d) => ({
    ids: Int32Array.from({ length: 3 + d % 5 }, (_, t) => (d + t * 3) % 11),
    supervised: new Uint8Array(3 + d % 5).fill(1),
  })),
  { seqLen: 8 },
);

async function fresh(): Promise<Trainer> {
  return await loadTrainer(new FakeEngine({}), { init: { seed: 1 }, seed: 9 });
}

async function run(trainer: Trainer, steps: number): Promise<void> {
  for await (const _ of trainer.train({ data, steps })) { /* to the end */ }
}
const state = ({ engine }: Trainer) =>
  ["parameters", "moment1", "moment2"].map((name) => [...engine.read(name)]);

/** A disk whose n-th call of a kind fails, as the system's would; a write has put half of its bytes there first. */
function failing(kind: keyof Disk, n: number, message: string): Partial<Disk> {
  let calls = 0;
  const count = () => {
    if (++calls === n) throw new Error(message);
  };
  if (kind === "rename") {
    return {
      rename(from, to) {
        count();
        Deno.renameSync(from, to);
      },
    };
  }
  if (kind === "sync") {
    return {
      sync(file) {
        count();
        file.syncSync();
      },
    };
  }
  return {
    write(file, bytes) {
      if (calls + 1 === n) file.writeSync(bytes.subarray(0, bytes.length >> 1));
      count();
      return file.writeSync(bytes);
    },
  };
}

const FULL = "No space left on device (os error 28)";
const READ_ONLY = "Read-only file system (os error 30)";

for (const keep of [1, 2]) {
  for (const kind of ["write", "sync", "rename"] as const) {
    for (const message of [FULL, READ_ONLY]) {
      Deno.test(`a ${kind} that fails (${message}) leaves the old checkpoint or the new, keep ${keep}`, async () => {
        const dir = await mkdtemp(join(tmpdir(), "pacac-faults-"));
        const trainer = await fresh();
        await run(trainer, 2);
        await trainer.saveCheckpoint(dir, { keep });
        const states = new Map([[2, state(trainer)]]);
        let faults = 0;
        for (let n = 1, failed = true; failed; n++) {
          await run(trainer, trainer.stepsDone + 1);
          states.set(trainer.stepsDone, state(trainer));
          const old = (await restored(dir)).stepsDone;
          const error = await withDisk(
            failing(kind, n, message),
            () => trainer.saveCheckpoint(dir, { keep }),
          ).then(() => undefined, (error: unknown) => error);
          failed = error !== undefined;
          const now = await restored(dir);
          deepEqual(state(now), states.get(now.stepsDone));
          if (!failed) {
            equal(now.stepsDone, trainer.stepsDone);
            break;
          }
          faults++;
          ok(now.stepsDone === old || now.stepsDone === trainer.stepsDone);
          ok(error instanceof PacacError, `${error}`);
          equal(error.code, "io");
          ok(error.place.file?.startsWith(dir), error.place.file);
          ok(/room on the disk|disk that can be written/.test(error.remedy), error.remedy);
        }
        ok(faults >= 2, `${faults} faults`);
        const left = [...Deno.readDirSync(dir)].map(({ name }) => name);
        equal(left.filter((name) => name.endsWith(".tmp")).length, 0, `${left}`);
        equal(left.filter((name) => name.startsWith("state-")).length, keep, `${left}`);
      });
    }
  }
}

async function restored(dir: string): Promise<Trainer> {
  const trainer = await fresh();
  await trainer.loadCheckpoint(dir);
  return trainer;
}
