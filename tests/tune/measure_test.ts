/**
 * The measuring process on planted candidates: those that are wrong, crash, or do not compile are dropped, and the others go on.
 * @module
 */
import assert from "node:assert/strict";
import { Cache } from "../../src/build/cache.ts";
import { Renderer, TEMPLATES } from "../../src/emit/render.ts";
import { NativeMeasurer } from "../../src/tune/measure.ts";
import { buildRunner } from "../../src/tune/runner.ts";
import { search } from "../../src/tune/search.ts";
import { spaceOf } from "../../src/tune/space.ts";
import { inRepository } from "../support/paths.ts";
import { addCall, ISA, MACHINE, plantedKernel } from "./support.ts";

/** Runs a search over planted kinds, the default first. */
async function searchKinds(kinds: readonly string[]) {
  const kernel = plantedKernel(kinds);
  const call = addCall(300);
  const workspace = kernel.workspace(call, {}, ISA);
  const values = { kind: kinds[0] };
  const folder = await Deno.makeTempDir({ prefix: "pacac-test-" });
  const flags = { name: "plain", lanes: 4, flags: ["-DPACAC_ISA_PLAIN"] };
  try {
    await using measurer = new NativeMeasurer(
      { call, kernel, values, phase: "forward", layer: -1, workspace },
      {
        isa: { ...ISA, ...flags },
        threads: 2,
        program: await buildRunner(),
        renderer: new Renderer([inRepository("tests/tune/templates"), TEMPLATES]),
        cache: new Cache(),
        folder,
        seed: 1,
      },
    );
    const space = spaceOf(kernel, call, { isa: ISA, machine: MACHINE });
    return await search(space, { measurer, seconds: 60, expired: () => false });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("planted candidates are dropped for what they do, the fastest right one wins", async () => {
  const kinds = [
    "slow",
    "right",
    "wrong",
    "partial",
    "crashing",
    "wide",
    "ending",
    "sudden",
    "unbuildab",
  ];
  const found = await searchKinds(kinds);
  const why = new Map(found.dropped.map(({ candidate, why }) => [candidate.values.kind, why]));
  assert.deepEqual([...why.keys()].sort(), kinds.slice(2).sort());
  assert.match(why.get("wrong") ?? "", /off by 0\.0/);
  assert.match(why.get("partial") ?? "", /off by nan/);
  assert.match(why.get("crashing") ?? "", /crashed \(signal 11\)/);
  assert.match(why.get("wide") ?? "", /beyond an operand/);
  assert.match(why.get("ending") ?? "", /crashed \(signal \d+\)/);
  assert.match(why.get("sudden") ?? "", /crashed/);
  assert.match(why.get("unbuildab") ?? "", /does not compile/);
  assert.equal(found.best.values.kind, "right");
  assert.ok(found.gain > 1.5, `gain ${found.gain}`);
});

Deno.test("nothing is tuned where the defaults crash or are no numbers", async () => {
  for (const kind of ["crashing", "partial", "unbuildab"]) {
    const found = await searchKinds([kind, "right"]);
    assert.ok(Number.isNaN(found.defaultSeconds), kind);
    assert.equal(found.best.values.kind, kind);
  }
});
