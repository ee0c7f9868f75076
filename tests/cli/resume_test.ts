/**
 * `train --resume DIR` alone: the folder knows the run, holds it to what it began with, and nothing of it is lost by mistake.
 * @module
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { removeCheckpoints } from "../../src/train/checkpoint.ts";
import { locateRun, readRunFile } from "../../src/train/run_file.ts";
import { inRepository } from "../support/paths.ts";
import { type Outcome, runHere } from "./in_process.ts";
import { SmallProject } from "./small_project.ts";

const NAME = "resume-test";

const stepsIn = (folder: string): number[] =>
  Deno.readTextFileSync(join(folder, "metrics.jsonl")).trim().split("\n")
    .map((line) => JSON.parse(line)).filter(({ type }) => type === "step").map(({ loss }) => loss);

function checkpointStep(folder: string): number {
  return JSON.parse(Deno.readTextFileSync(join(folder, "checkpoint/checkpoint.json"))).step;
}

/** As a killed run would have left it: goes back to the checkpoint of a step. */
function killedAfter(folder: string, step: number): void {
  const checkpoint = join(folder, "checkpoint");
  Deno.copyFileSync(
    join(checkpoint, `checkpoint-${step}.json`),
    join(checkpoint, "checkpoint.json"),
  );
  Deno.removeSync(join(folder, "adapter"), { recursive: true });
}

Deno.test("a run goes on from its folder alone, and is held to what it began with", async (t) => {
  using project = new SmallProject(NAME);
  const run = (line: string): Promise<Outcome> => runHere(line.split(" "), project.environment);
  const folder = project.file("run"), whole = project.file("whole");
  const begin = "train spec.ts --target reference --init 3 --data data.jsonl --steps 4 --seed 5" +
    " --schedule linear --warmup 2 --validation other.jsonl --evaluate-every 2 --patience 9" +
    " --save-every 1 --keep 9 --packing padded --threads 1";
  for (const out of [folder, whole]) {
    const { code, err } = await run(`${begin} --out ${out}`);
    equal(code, 0, err);
  }
  const adapter = () => Deno.readFileSync(join(folder, "adapter/adapter_model.safetensors"));
  const expected = { adapter: adapter(), losses: stepsIn(whole) };

  await t.step("run.json says what the run is", () => {
    const file = readRunFile(folder);
    equal(file?.program.path, project.file("spec.ts"));
    equal(file?.flags["--data"]?.toString(), project.file("data.jsonl"));
    equal(file?.flags["--seed"], "5");
    equal(file?.data.files.at(0)?.sha256.length, 64);
    equal(file?.validation?.files.at(0)?.file, project.file("other.jsonl"));
    ok(file?.versions.pacac !== "unknown");
  });

  for (const place of ["run", "run/checkpoint", "run/checkpoint/checkpoint-2.json"]) {
    await t.step(
      `--resume ${place} needs no other flag, and ends as if it had not stopped`,
      async () => {
        killedAfter(folder, 2);
        const { code, err } = await run(`train --resume ${place}`);
        equal(code, 0, err);
        // The reference computes in float64 and checkpoints are float32; native targets meet bit for bit.
        const losses = stepsIn(folder);
        equal(losses.length, 4);
        losses.forEach((loss, i) => ok(Math.abs(loss - expected.losses[i]) < 1e-6, `${losses}`));
        equal(adapter().length, expected.adapter.length);
      },
    );
  }

  await t.step("--resume RUN/best goes back to the best", async () => {
    const { code, err } = await run("train --resume run/best");
    equal(code, 0, err);
    equal(stepsIn(folder).length, 4);
  });

  await t.step("without a checkpoint it begins at the first step", async () => {
    removeCheckpoints(join(folder, "checkpoint"));
    const { code, err } = await run("train --resume run");
    equal(code, 0, err);
    match(err, /no checkpoint yet/);
    deepEqual(stepsIn(folder), expected.losses);
    deepEqual(adapter(), expected.adapter);
  });

  await t.step("a run that was killed behind its last step saves its adapter", async () => {
    Deno.removeSync(join(folder, "adapter"), { recursive: true });
    const { code, err } = await run("train --resume run");
    equal(code, 0, err);
    match(err, /all 4 steps of the run are done/);
    deepEqual(adapter(), expected.adapter);
  });

  const contradictions: readonly [string, RegExp][] = [
    ["--seed 6", /Cannot resume with --seed 6: the run began with 5/],
    ["--init 4", /--init 4: the run began with 3/],
    ["--packing best-fit", /--packing best-fit: the run began with padded/],
    ["--data other.jsonl", /--data \S+other\.jsonl: the run began with \S+data\.jsonl/],
    ["--validation 0.1", /--validation 0\.1: the run began with \S+other\.jsonl/],
    ["--schedule cosine", /--schedule cosine: the run began with linear/],
    ["--on-nan skip", /--on-nan skip: the run began without it/],
    ["--threads 2", /--threads 2: the run began with 1/],
    ["--out elsewhere", /--out \S+elsewhere: the run began with \S+run/],
  ];
  for (const [flag, says] of contradictions) {
    await t.step(`--resume run ${flag} is refused`, async () => {
      const { code, err } = await run(`train --resume run ${flag}`);
      equal(code, 2, err);
      match(err, says);
      match(err, new RegExp(`run\\.json \\(${flag.split(" ")[0]}\\)`));
      match(err, /leave --[\w-]+ out, or begin a new run/);
    });
  }

  await t.step("another description for the program is refused", async () => {
    const { code, err } = await run("train data.jsonl --resume run");
    equal(code, 2, err);
    match(err, /program \S+data\.jsonl: the run began with \S+spec\.ts/);
  });

  await t.step("flags that say the same, and what changes no number, are taken", async () => {
    killedAfter(folder, 2);
    const { code, err } = await run("train spec.ts --resume run --seed 5 --save-every 2 --keep 2");
    equal(code, 0, err);
    equal(readRunFile(folder)?.flags["--keep"], "2");
  });

  await t.step("another length is refused where the steps would have been others", async () => {
    const { code, err } = await run("train --resume run --steps 40");
    equal(code, 1, err);
    match(err, /steps was 4, and is 40 now/);
  });

  await t.step("what has changed since is refused, by name", async () => {
    const change = async (file: string, text: (before: string) => string, says: RegExp) => {
      const before = Deno.readTextFileSync(project.file(file));
      project.write(file, text(before));
      const { code, err } = await run("train --resume run");
      equal(code, 1, err);
      match(err, says);
      project.write(file, before);
    };
    await change("data.jsonl", (text) => text.replace("49", "50"), /data\.jsonl.*changed since/);
    await change(
      "other.jsonl",
      (text) => text.replace("10000", "1"),
      /other\.jsonl.*changed since/,
    );
    await change(
      "spec.ts",
      (text) => text.replace("1e-2", "2e-2"),
      /train\.optimizer\.learningRate was 0\.01 when the run began, and is 0\.02/,
    );
    await change("run/run.json", (text) => text.replace('"version": 1', '"version": 2'), /version/);
    await change("run/run.json", (text) => text.slice(0, 50), /Cannot parse JSON/);
    await change(
      "run/run.json",
      (text) => text.replace('"--seed": "5"', '"--seed": "many"'),
      /run\.json \(flags\): Cannot resume: .*--seed/,
    );
  });

  await t.step("a new run does not take the place of one that is not finished", async () => {
    killedAfter(folder, 4);
    Deno.writeTextFileSync(
      join(folder, "checkpoint/checkpoint.json"),
      Deno.readTextFileSync(join(folder, "checkpoint/checkpoint.json"))
        .replace('"steps": 4', '"steps": 5'),
    );
    const { code, err } = await run(`${begin} --out ${folder}`);
    equal(code, 2, err);
    match(err, /stopped after step 4 of 5/);
    match(err, /--resume \S+run; or begin anew with --restart/);
    const again = await run(`${begin} --out ${folder} --restart`);
    equal(again.code, 0, again.err);
    equal(checkpointStep(folder), 4);
    deepEqual(adapter(), expected.adapter);
  });

  await t.step("a checkpoint of another's making in the folder is refused", async () => {
    const path = join(folder, "checkpoint/checkpoint.json");
    const before = Deno.readTextFileSync(path);
    const { data: _, validation: __, plan: ___, ...rest } = JSON.parse(before);
    Deno.writeTextFileSync(path, JSON.stringify(rest));
    const { code, err } = await run("train --resume run");
    equal(code, 1, err);
    match(err, /does not say what it was trained on/);
    Deno.writeTextFileSync(path, before);
  });

  await t.step("export takes the run's folder for its adapter", async () => {
    const base = inRepository("models/tiny");
    const { code, err } = await run(`export run --base ${base} --to lora --out lora`);
    // The adapter is of another model: it was found, and read.
    equal(code, 1, err);
    match(err, /run\/adapter/);
  });

  await t.step("a folder without a run is refused", async () => {
    const { code, err } = await run("train --resume model");
    equal(code, 1, err);
    match(err, /there is no run and no checkpoint/);
  });

  await t.step("locateRun() finds a run by each of its parts", () => {
    const checkpoint = join(folder, "checkpoint");
    deepEqual(locateRun(folder), { runDir: folder, checkpoint });
    deepEqual(locateRun(join(checkpoint, "checkpoint.json")), { runDir: folder, checkpoint });
  });
});

Deno.test("a run does not go on with other weights than it began with", async () => {
  using project = new SmallProject("resume-weights");
  const run = (line: string): Promise<Outcome> => runHere(line.split(" "), project.environment);
  // A project of its own: within one process, a program's folder holds one program.
  using other = new SmallProject("resume-weights-base");
  const spec = Deno.readTextFileSync(other.file("spec.ts"));
  other.write("spec.ts", spec.replace(/adapt: .*/, "adapt: p.full(),"));
  for (const seed of [1, 2]) {
    const made = await run(
      `train ${
        other.file("spec.ts")
      } --target reference --init ${seed} --data data.jsonl --steps 1 ` +
        `--out base${seed}`,
    );
    equal(made.code, 0, made.err);
  }
  const begin = "train spec.ts --target reference --weights base1/model --data data.jsonl";
  const { code, err } = await run(`${begin} --steps 2 --out run`);
  equal(code, 0, err);
  const again = await run("train --resume run");
  equal(again.code, 0, again.err);
  const name = "model/model.safetensors";
  Deno.copyFileSync(project.file(`base2/${name}`), project.file(`base1/${name}`));
  const refused = await run("train --resume run");
  equal(refused.code, 1, refused.err);
  match(refused.err, /base1\/model\/model\.safetensors: .*the weights have changed since/);
});
