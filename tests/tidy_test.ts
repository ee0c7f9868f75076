/**
 * The rules of the house, held over the whole tree. Each rule is shown a planted fault first: a rule that finds nothing proves nothing.
 * @module
 */
import assert from "node:assert/strict";
import { ERROR_CODES } from "../src/errors.ts";
import * as rules from "./lint/rules.ts";
import { inRepository } from "./support/paths.ts";

const EXTENSIONS = /\.(?:ts|njk|hpp|cpp|py|md|json)$/;

/** Reads texts below a folder, golden files left out. */
function read(folder: string, into: Map<string, string>): void {
  for (const { name, isDirectory } of Deno.readDirSync(inRepository(folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory && name !== "golden" && path !== "models/tiny") read(path, into);
    if (!isDirectory && EXTENSIONS.test(name)) {
      into.set(path, Deno.readTextFileSync(inRepository(path)));
    }
  }
}

const everything = new Map<string, string>();
for (const folder of ["src", "templates", "native", "models", "tests"]) read(folder, everything);
for (const name of ["README.md", "deno.json"]) {
  everything.set(name, Deno.readTextFileSync(inRepository(name)));
}
const below = (...folders: string[]): rules.Files =>
  new Map([...everything].filter(([path]) => folders.some((one) => path.startsWith(`${one}/`))));
const src: rules.Files = new Map([...below("src")].filter(([path]) => path.endsWith(".ts")));

const FACES = ["src/mod.ts", "src/train/mod.ts", "src/targets/reference/mod.ts"];

/** Files that may be longer than the rest; figures only fall. */
const RATCHET: Readonly<Record<string, number>> = {};

const LISTS: readonly rules.Listed[] = [
  { folder: "src/ops/", list: "src/ops/mod.ts", except: ["access", "op"] },
  { folder: "src/methods/", list: "src/methods/mod.ts", except: ["method"] },
  { folder: "src/spec/families/", list: "src/spec/families/mod.ts" },
  { folder: "src/targets/cpu/kernels/", list: "src/targets/cpu/mod.ts" },
  {
    folder: "src/cli/",
    list: "src/cli/main.ts",
    when: /^export (?:async )?function \w+Command\(/m,
  },
  {
    folder: "src/train/data/",
    list: "src/train/data/formats.ts",
    when: /^export function read[A-Z]\w*\(row/m,
  },
];

const file = (path: string, text: string): rules.Files => new Map([[path, text]]);

/** A rule: what it says of the tree, and of planted faults, each of which it must report. */
interface Tidy {
  readonly name: string;
  readonly tree: () => string[];
  readonly canaries: readonly (() => string[])[];
}

const plant = (path: string, text: string) => () => rules.banned(file(path, text));

const TIDY: readonly Tidy[] = [
  {
    name: "imports follow the arrows",
    tree: () => rules.wrongArrows(src),
    canaries: [
      ["src/graph/graph.ts", 'import { train } from "../train/loop.ts";'],
      ["src/train/loop.ts", 'import {\n  a,\n  b,\n} from "../graph/graph.ts";'],
      ["src/emit/info.ts", 'import { Trainer } from "../train/mod.ts";'],
      ["src/formats/files.ts", 'export { knob } from "../knobs.ts";'],
      ["src/passes/place.ts", 'await import("../targets/cpu/mod.ts");'],
      ["src/ops/add.ts", 'import type { A } from "../../tests/x.ts";'],
      ["src/new_layer/x.ts", 'import { must } from "../errors.ts";'],
    ].map(([path, text]) => () => rules.wrongArrows(file(path, text))),
  },
  {
    name: "nothing banned",
    tree: () => rules.banned(everything),
    canaries: [
      plant("src/ops/x.ts", "console.log(1);"),
      plant("src/ops/x.ts", "if (bad) Deno.exit(1);"),
      plant("src/ops/x.ts", "process.exit(1);"),
      plant("src/ops/x.ts", "const x: an" + "y = 1;"),
      plant("tests/x.ts", "f(x as an" + "y);"),
      plant("src/ops/x.ts", "const y = list[0]" + "!.name;"),
      plant("src/ops/x.ts", "return found" + "!;"),
      plant("native/cpu/x.hpp", "// TO" + "DO: faster"),
      plant("README.md", "in /ho" + "me/me/models"),
    ],
  },
  {
    name: "no file is over 400 lines",
    tree: () =>
      rules.tooLong(below("src", "native", "templates"), { limit: 400, ratchet: RATCHET }),
    canaries: [
      () => rules.tooLong(file("src/x.ts", "\n".repeat(401)), { limit: 400, ratchet: {} }),
      () => rules.tooLong(file("x", "\n".repeat(501)), { limit: 400, ratchet: { x: 500 } }),
    ],
  },
  {
    name: "every module is reached",
    tree: () => rules.unreached(src, [...FACES, "src/compile.ts", "src/cli/main.ts"]),
    canaries: [() =>
      rules.unreached(
        new Map([
          ["src/mod.ts", 'export { a } from "./a.ts";'],
          ["src/a.ts", ""],
          ["src/b.ts", 'import "./a.ts";'],
        ]),
        ["src/mod.ts"],
      )],
  },
  {
    name: "every export is used",
    tree: () => rules.unusedExports(below("src", "tests", "models"), FACES),
    canaries: [() =>
      rules.unusedExports(
        new Map([
          ["src/a.ts", "export function lonely() {}\nlonely();"],
          ["src/x/mod.ts", 'export { lonely } from "../a.ts";'],
        ]),
        [],
      )],
  },
  {
    name: "lists name every file of their folder",
    tree: () => LISTS.flatMap((list) => rules.unlisted(src, list)),
    canaries: LISTS.map((list) => () => {
      const text = "export function readNothing(row: Row) {}\nexport function newCommand() {}\n";
      return rules.unlisted(new Map([...src, [`${list.folder}planted.ts`, text]]), list);
    }),
  },
  {
    name: "kernels and templates come in pairs",
    tree: () => rules.unpaired(below("src", "templates"), "cpu"),
    canaries: ["src/targets/cpu/kernels/x.ts", "templates/cpu/x.cpp.njk"].map((path) => () =>
      rules.unpaired(file(path, ""), "cpu")
    ),
  },
  {
    name: "every native file is used",
    tree: () => rules.unusedNative(below("src", "native", "templates")),
    canaries: [() => rules.unusedNative(file("native/cpu/x.hpp", '// #include "cpu/x.hpp"'))],
  },
  {
    name: "every error code is thrown",
    tree: () => rules.unusedCodes(src, Object.keys(ERROR_CODES)),
    canaries: [() => rules.unusedCodes(file("src/errors.ts", '"io"'), ["io"])],
  },
  {
    name: "src/README.md names files that are there",
    tree: () => rules.deadPaths(everything.get("src/README.md") ?? "`no/page`", exists),
    canaries: [() => rules.deadPaths("see `ops/gone.ts`", exists)],
  },
  {
    name: "a commit that says [same] leaves golden files as they are",
    tree: lastCommit,
    canaries: [() => rules.notSame("Rename a pass [same]", ["tests/golden/generated/linear.cpp"])],
  },
];

function exists(path: string): boolean {
  try {
    Deno.statSync(inRepository(path));
    return true;
  } catch {
    return false;
  }
}

/** The last commit's complaint; nothing where there is no git or no commit before it. */
function lastCommit(): string[] {
  const git = (...args: string[]): string => {
    try {
      const { code, stdout } = new Deno.Command("git", {
        args,
        cwd: inRepository(""),
        stderr: "null",
      })
        .outputSync();
      return code === 0 ? new TextDecoder().decode(stdout) : "";
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  };
  const golden = ["tests/golden", "tests/passes/*.graph", "tests/emit"];
  const changed = git("diff", "--name-only", "HEAD~1", "HEAD", "--", ...golden);
  return rules.notSame(git("log", "-1", "--format=%B"), changed.split("\n").filter(Boolean));
}

for (const { name, tree, canaries } of TIDY) {
  Deno.test(`tidy: ${name}`, () => {
    canaries.forEach((canary, i) => {
      assert.notEqual(canary().length, 0, `planted fault ${i} was not found`);
    });
    assert.deepEqual(tree(), []);
  });
}

Deno.test("tidy: commits without [same] may change golden files", () => {
  assert.deepEqual(
    rules.notSame("Write better headers", ["tests/golden/generated/linear.cpp"]),
    [],
  );
});
