/**
 * Loading of whole spec files, and the places that later errors get.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Bug, PacacError } from "../../src/errors.ts";
import { near } from "../../src/knobs.ts";
import { blameSpec, loadSpec } from "../../src/spec/load.ts";

const SMOLLM2 = fileURLToPath(new URL("../../models/smollm2.ts", import.meta.url));

Deno.test("loadSpec() loads models/smollm2.ts with its defaults filled in", async () => {
  const { spec, path, text } = await loadSpec(SMOLLM2);
  assert.equal(path, SMOLLM2);
  assert.equal(text, await Deno.readTextFile(SMOLLM2));
  assert.equal(spec.name, "smollm2");
  assert.deepEqual(spec.adapt, {
    method: "paca",
    rank: 16,
    alpha: 32,
    targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    seed: 0,
    parametrisation: "delta",
  });
  assert.deepEqual(spec.train.optimizer, {
    kind: "adamw",
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
  });
});

Deno.test("blameSpec() adds the place of a field, and leaves other errors alone", async () => {
  const loaded = { path: SMOLLM2, text: await Deno.readTextFile(SMOLLM2) };
  const remedy = "choose less", place = { field: "adapt.rank" };
  const blamed = await blameSpec(new PacacError("spec-value", "Cannot", { place, remedy }), loaded);
  assert.ok(blamed instanceof PacacError);
  const line = loaded.text.split("\n").findIndex((text) => text.includes("rank:")) + 1;
  assert.deepEqual(blamed.place, { file: SMOLLM2, line, column: 5, field: "adapt.rank" });
  assert.equal(blamed.remedy, remedy);
  const elsewhere = new PacacError("io", "Cannot", { place: { file: "a", field: "b" } });
  assert.equal(await blameSpec(elsewhere, loaded), elsewhere);
  const bug = new Bug("x");
  assert.equal(await blameSpec(bug, loaded), bug);
});

Deno.test.each([
  ["rnak", "rank"],
  ["sed", "seed"],
  ["RANK", undefined],
  ["zzzzz", undefined],
])("near() takes %s for %s", (word, meant) => {
  assert.equal(near(word, ["rank", "alpha", "seed", "targets"]), meant);
});
