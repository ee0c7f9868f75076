/**
 * Every error that the command line can meet, word for word. PACAC_UPDATE=1 rewrites what is expected.
 * @module
 */
import assert from "node:assert/strict";
import { ERROR_CODES } from "../../src/errors.ts";
import { HERE } from "../support/cpu_engine.ts";
import { type ErrorCase, parseCase, runCase, updateCase } from "./case.ts";

const FOLDER = new URL("./", import.meta.url);

/** Codes that no command line brings about by its own, and why. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  "build-failed":
    "generated code always compiles; a compiler that refuses it is a fault of pacac's",
};

const cases: ErrorCase[] = [];
for (const { name } of Deno.readDirSync(FOLDER)) {
  if (!name.endsWith(".txt")) continue;
  cases.push(parseCase(name.replace(/\.txt$/, ""), Deno.readTextFileSync(new URL(name, FOLDER))));
}

Deno.test.afterAll(async () => {
  const generated = new URL("../../generated/", FOLDER);
  for (const target of ["reference", "cpu"]) {
    await Deno.remove(new URL(`error-case-${target}`, generated), { recursive: true })
      .catch(() => {});
  }
});

for (const given of cases.sort((a, b) => a.name < b.name ? -1 : 1)) {
  const options = {
    name: `${given.name}: ${given.title}`,
    ignore: given.name === "target-unknown.isa" && Deno.build.arch !== "x86_64",
  };
  Deno.test(options, async () => {
    const raw = await runCase(given);
    const stderr = raw.stderr.replace(
      `one of ${HERE.join(", ")},`,
      "one of THOSE OF THIS PROCESSOR,",
    );
    const result = { ...raw, stderr };
    if (Deno.env.get("PACAC_UPDATE") === "1") {
      const file = new URL(`${given.name}.txt`, FOLDER);
      await Deno.writeTextFile(file, updateCase(await Deno.readTextFile(file), result));
      return;
    }
    assert.equal(result.stderr, given.stderr);
    assert.equal(result.exit, given.exit);
    assert.equal(result.stdout, "", "errors leave standard output empty");
  });
}

Deno.test("every error code has a case of its name, or a reason why not", () => {
  const covered = new Set(cases.map(({ name }) => name.split(".")[0]));
  for (const code of Object.keys(ERROR_CODES)) {
    assert.ok(covered.has(code) !== (code in UNREACHABLE), `tests/errors/${code}.*.txt`);
  }
});

Deno.test("each case brings about the error that it is named after", () => {
  for (const { name, stderr } of cases) {
    assert.match(stderr, new RegExp(`^error\\[${name.split(".")[0]}\\]: `, "m"), name);
  }
});
