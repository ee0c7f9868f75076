/**
 * Generated C++ as people meet it: some sources of the small model, word for word. A commit marked [same] leaves them as they are;
 * any other shows in its diff what it does to generated code. PACAC_UPDATE=1 rewrites them.
 * @module
 */
import assert from "node:assert/strict";
import { emitProgram } from "../../src/emit/mod.ts";
import { planFor } from "../support/cpu_engine.ts";
import { assertGolden } from "../support/golden_file.ts";
import { runPasses, smallSpec, TINY } from "../support/small_model.ts";

const plan = planFor(runPasses(), {
  spec: smallSpec(),
  vocabSize: TINY.vocabSize,
  isa: "avx2",
  threads: 2,
});
const { sources } = emitProgram(plan);

/** Golden file -> what the source's path or first line begins with. */
const GOLDEN: Readonly<Record<string, string>> = {
  "linear.cpp": "// paca_linear: ",
  "attention.cpp": "// attention: ",
  "adamw.cpp": "// adamw: ",
  "schedule.cpp": "schedule.cpp",
};

for (const [name, mark] of Object.entries(GOLDEN)) {
  Deno.test(`generated ${name} is as its golden file says`, () => {
    const found = sources.find(({ file, source }) => file === mark || source.startsWith(mark));
    assert.ok(found !== undefined, `no source is ${mark}`);
    assertGolden(new URL(`../golden/generated/${name}`, import.meta.url), found.source);
  });
}

Deno.test("every kernel's head says shapes, operations and bytes", () => {
  const kernels = sources.filter(({ file }) => file.startsWith("kernels/"));
  assert.ok(kernels.length > 15);
  for (const { file, source } of kernels) {
    const head = source.slice(0, source.indexOf("#include"));
    assert.match(head, /^\/\/ \w+.*: .*\[\d+(?:, \d+)*\].* -> /s, file);
    assert.match(head, /FLOP/, file);
    assert.match(head, /\d B|[kKMG]i?B/, file);
  }
});
