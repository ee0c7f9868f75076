/**
 * Every command is fed nonsense: flags that are misspelt, doubled or empty, numbers that are none, files that are missing, folders,
 * empty, binary, links that lead in circles, devices without an end. Each must be told in words: what is wrong, and what to do.
 * @module
 */
import { equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/main.ts";
import { inRepository } from "../support/paths.ts";
import { runHere } from "./in_process.ts";
import { SmallProject } from "./small_project.ts";

/** Values that are no number that any flag takes. */
const NO_NUMBERS = ["-1", "NaN", "Infinity", "1e999", "0x10", "½", "7 apples", "99999999999999999"];

/** Files that nothing can be made of, by name. */
const BAD: readonly string[] = [
  "missing.ts",
  "missing/deeper/file.jsonl",
  "folder",
  "empty.json",
  "binary",
  "loop",
  "broken.json",
  "ünï‮cödé 🦙.txt",
  "x".repeat(5000),
  "/dev/zero",
  "pipe",
  "spec.ts/below-a-file",
];

/** Where each command takes a path, with all else in order. A spec that is there is only given to the commands that are quick. */
const PLACES: Readonly<Record<string, readonly ((bad: string) => string[])[]>> = {
  compile: [
    (bad) => [bad],
    (bad) => ["spec.ts", "--target", "reference", "--emit", `before:${bad}`],
    (bad) => ["spec.ts", "--target", "reference", "--weights", bad],
  ],
  inspect: [(bad) => [bad]],
  data: [
    (bad) => [bad, "--model", "model"],
    (bad) => ["data.jsonl", "--model", bad],
    (bad) => ["data.jsonl", "--model", "model", "--validation", bad],
  ],
  train: [
    (bad) => [bad, "--data", "data.jsonl"],
    (bad) => ["program", "--init", "1", "--out", "run", "--data", bad],
    (bad) => ["--resume", bad],
    (bad) => ["program", "--data", "data.jsonl", "--out", "run", "--weights", bad],
    (bad) => ["program", "--init", "1", "--data", "data.jsonl", "--out", "run", "--adapter", bad],
  ],
  report: [(bad) => [bad], (bad) => ["folder", bad]],
  generate: [(bad) => [bad, "--prompt", "Hello"]],
  chat: [(bad) => [bad]],
  bench: [(bad) => [bad]],
  download: [(bad) => [bad], (bad) => ["--dataset", bad]],
  upload: [(bad) => [bad, "--repo", "org/name", "--dry-run"]],
  export: [
    (bad) => [bad, "--base", inRepository("models/tiny"), "--to", "peft", "--out", "out"],
    (bad) => ["folder", "--base", bad, "--to", "gguf", "--out", "out.gguf"],
  ],
  unpack: [(bad) => [bad, "--out", "out"]],
  tune: [(bad) => [bad], (bad) => ["--import", bad]],
  "cuda:report": [(bad) => [bad]],
  emulate: [(bad) => [bad, "kernel"]],
};

/** A case may take so long on a busy machine. */
const LIMIT_MS = 15_000;

function writeBad(project: SmallProject): void {
  Deno.mkdirSync(project.file("folder"));
  project.write("empty.json", "");
  Deno.writeFileSync(
    project.file("binary"),
    Uint8Array.from({ length: 4000 }, (_, i) => (i * 2654435761) >>> 24),
  );
  Deno.symlinkSync(project.file("loop"), project.file("loop"));
  project.write("broken.json", '{"instruction": "x", "output": \n');
  Deno.writeFileSync(project.file("ünï‮cödé 🦙.txt"), Uint8Array.of(0x61, 0xff, 0xfe, 0x0a));
  new Deno.Command("mkfifo", { args: [project.file("pipe")] }).outputSync();
}

/** Flags of a command given in ways that no flag is given. */
async function badFlags(name: string): Promise<string[][]> {
  const entry = COMMANDS.find((command) => command.name === name);
  const { options } = await entry?.load() ?? { options: [] };
  const cases: string[][] = [["--nonsense"], ["-x"], ["-"], ["--no-such=3"], ["---steps"]];
  for (const { long, required, argChoices, parseArg, negate, hidden } of options) {
    if (long === undefined || long === null || hidden) continue;
    const misspelt = `${long.slice(0, -1)}${long.endsWith("q") ? "z" : "q"}`;
    cases.push(required ? [misspelt, "1"] : [misspelt]);
    if (!required) {
      if (!negate) cases.push([`${long}=yes`], [long, long]);
      continue;
    }
    cases.push([long], [long, ""], [`${long}=`]);
    if (argChoices !== undefined) cases.push([long, "nonsense"], [long, ""]);
    if (parseArg?.length === 2) continue;
    cases.push([long, "1", long, "1"]);
    if (argChoices === undefined && parseArg !== undefined) {
      NO_NUMBERS.slice(0, 4).forEach((value) => cases.push([long, value]));
    }
  }
  return cases;
}

interface Case {
  readonly args: readonly string[];
  /** What the message must name, where it is known. */
  readonly names?: string;
}

async function casesOf(name: string): Promise<Case[]> {
  const paths = (PLACES[name] ?? []).flatMap((place) =>
    BAD.map((bad) => ({ args: place(bad), names: bad.slice(-12) }))
  );
  const flags = (await badFlags(name)).map((args) => ({ args }));
  const operands = NO_NUMBERS.map((text) => ({
    args: ["surplus", text, "surplus", "--nonsense", text],
  }));
  return [...paths, ...flags, ...operands];
}

async function check(
  name: string,
  { args, names }: Case,
  environment: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LIMIT_MS);
  });
  const outcome = await Promise.race([runHere([name, ...args], environment), late]);
  clearTimeout(timer);
  const told = `${name} ${args.map((arg) => JSON.stringify(arg.slice(0, 60))).join(" ")}`;
  if (outcome === undefined) return `${told}: no end in ${LIMIT_MS / 1000} s`;
  const { code, err } = outcome;
  const fault = (what: string) => `${told}: ${what}\n${err.slice(-2000)}`;
  if (code !== 1 && code !== 2) return fault(`exit code ${code}`);
  if (!/^error\[[a-z-]+\]: \S/m.test(err)) return fault("no error");
  if (!/^ {2}help: \S/m.test(err)) return fault("no way out");
  if (/^\s+at .*[:(]\d+:\d+|bug in pacac/m.test(err)) return fault("a stack trace");
  if (/\bundefined\b|\[object |\bNaN\b(?<!--\S* NaN)/.test(err.replaceAll("'NaN'", ""))) {
    return fault("a value that nobody typed");
  }
  if (names !== undefined && !err.includes(names)) return fault(`it does not name ${names}`);
  return undefined;
}

for (const { name } of COMMANDS) {
  Deno.test(`${name} tells what is wrong with nonsense, and what to do`, async () => {
    using project = new SmallProject(`nonsense-${name}`);
    writeBad(project);
    const environment = {
      ...project.environment,
      HF_HUB_OFFLINE: "1",
      HF_HUB_CACHE: project.file("hub"),
      HF_TOKEN: "",
    };
    if (name === "train") {
      const { code, err } = await runHere(
        ["compile", "spec.ts", "--target", "reference", "--out", "program"],
        environment,
      );
      equal(code, 0, err);
    }
    const faults: string[] = [];
    const cases = await casesOf(name);
    for (const one of cases) {
      const fault = await check(name, one, environment);
      if (fault !== undefined) faults.push(fault);
    }
    ok(cases.length >= 20, `${cases.length} cases`);
    equal(faults.length, 0, `${faults.length} of ${cases.length}:\n\n${faults.join("\n\n")}`);
  });
}

Deno.test("a flag that is misspelt is told before one that is missing", async () => {
  using project = new SmallProject("nonsense-misspelt");
  const { code, err } = await runHere(["train", "spec.ts", "--dta", "x"], project.environment);
  equal(code, 2);
  match(err, /Unknown option '--dta'\n {2}help: did you mean --data\?/);
  const other = await runHere(["export", "a", "--bse", "b"], project.environment);
  match(other.err, /Unknown option '--bse'\n {2}help: did you mean --base\?/);
});

Deno.test("an unreadable file is told as such", { ignore: Deno.uid() === 0 }, async () => {
  using project = new SmallProject("nonsense-unreadable");
  Deno.chmodSync(project.file("data.jsonl"), 0);
  const { code, err } = await runHere(
    ["data", join(project.dir, "data.jsonl"), "--model", "model"],
    project.environment,
  );
  equal(code, 1);
  match(err, /data\.jsonl.*[Pp]ermission denied/);
});
