/**
 * A whole `train` on a disk whose n-th write, sync or rename fails, for every n there is: the command says so and what to do, what
 * has its name has its content, and the run goes on once there is room. And two processes that want one folder.
 * @module
 */
import { equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { type Disk, withDisk } from "../../src/formats/atomic.ts";
import { openSafetensors } from "../../src/formats/safetensors.ts";
import { RunLock } from "../../src/train/run_lock.ts";
import { type Outcome, runHere } from "./in_process.ts";
import { SmallProject } from "./small_project.ts";

const FULL = "No space left on device (os error 28)";
const READ_ONLY = "Read-only file system (os error 30)";

/** A disk whose n-th call of a kind fails, as the system's would; a write has put half of its bytes there first. */
function failing(kind: keyof Disk, n: number, message: string): Partial<Disk> {
  let calls = 0;
  const count = () => {
    if (++calls === n) throw new Error(message);
  };
  switch (kind) {
    case "write":
      return {
        write(file, bytes) {
          if (calls + 1 === n) file.writeSync(bytes.subarray(0, bytes.length >> 1));
          count();
          return file.writeSync(bytes);
        },
      };
    case "sync":
      return {
        sync(file) {
          count();
          file.syncSync();
        },
      };
    case "rename":
      return {
        rename(from, to) {
          count();
          Deno.renameSync(from, to);
        },
      };
  }
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(join(folder, name)) : [join(folder, name)]
  );
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Everything that has its name has its content, and no temporary file is left. */
function requireWhole(folder: string): void {
  for (const file of filesBelow(folder)) {
    ok(!file.endsWith(".tmp"), file);
    if (file.endsWith(".json")) JSON.parse(Deno.readTextFileSync(file));
    if (file.endsWith(".safetensors")) openSafetensors(file);
  }
  if (exists(join(folder, "adapter/adapter_config.json"))) {
    ok(exists(join(folder, "adapter/adapter_model.safetensors")));
  }
}

async function begun(project: SmallProject): Promise<(line: string) => Promise<Outcome>> {
  const run = (line: string) => runHere(line.split(" "), project.environment);
  const { code, err } = await run("compile spec.ts --target reference --out program");
  equal(code, 0, err);
  return run;
}

const TRAIN = "train program --init 1 --data data.jsonl --steps 2 --save-every 1 --out run" +
  " --validation 0.3 --evaluate-every 1";

for (const kind of ["write", "sync", "rename"] as const) {
  Deno.test(`train on a disk whose n-th ${kind} fails says so, leaves nothing half, and goes on`, async () => {
    using project = new SmallProject(`faults-${kind}`);
    const run = await begun(project);
    const folder = project.file("run");
    let faults = 0;
    for (let n = 1, failed = true; failed; n++) {
      for (const dir of [folder, project.file("cache/data")]) {
        await Deno.remove(dir, { recursive: true }).catch(() => {});
      }
      const message = n % 2 === 0 ? FULL : READ_ONLY;
      const { code, err } = await withDisk(failing(kind, n, message), () => run(TRAIN));
      // A page that cannot be written is no reason to end a run.
      const warned =
        /^warning: the run goes on without its report: error\[io\]: \/\S+: Cannot write: /m
          .test(err);
      failed = code !== 0 || warned;
      requireWhole(folder);
      if (!failed) break;
      faults++;
      equal(code, warned ? 0 : 1, `${n}: ${err}`);
      match(err, /error\[io\]: \/\S+: Cannot write: /);
      match(err, /help: (?:make room on the disk|choose a folder on a disk that can be written)/);
      const again = await run(exists(join(folder, "run.json")) ? "train --resume run" : TRAIN);
      equal(again.code, 0, `${n}: ${again.err}`);
      requireWhole(folder);
      equal(
        JSON.parse(Deno.readTextFileSync(join(folder, "checkpoint/checkpoint.json"))).step,
        2,
      );
      ok(exists(join(folder, "adapter/adapter_config.json")));
    }
    ok(faults >= 8, `${faults} faults`);
  });
}

Deno.test("train into a folder that another process trains into is refused, new or resumed", async () => {
  using project = new SmallProject("faults-lock");
  const run = await begun(project);
  equal((await run(TRAIN)).code, 0);
  using _lock = RunLock.take(project.file("run"));
  for (const line of [TRAIN, "train --resume run"]) {
    const { code, err } = await run(line);
    equal(code, 1, err);
    match(err, /process \d+ is training into it\n {2}help: wait until it ends, or choose another/);
  }
});
