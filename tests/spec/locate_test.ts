/**
 * Places of fields in spec files.
 * @module
 */
import assert from "node:assert/strict";
import { locate } from "../../src/spec/locate.ts";

const TEXT = `import { adamw, fineTune, fromPretrained, paca } from "@pacac/pacac";
const seed = 3;
const targets = ["q_proj", "v_proj"] as const;
const shared = { batch: 2, seqLen: 8 };
const spec = fineTune({
  name: "a",
  model: fromPretrained("m"),
  adapt: paca({ rank: 4, alpha: 8, targets, seed }),
  train: { ...shared, optimizer: (adamw({ learningRate: 1e-3, betas: [0.9, 0.95] })) },
  folder: "f",
});
export default spec;
`;

Deno.test.each([
  ["name", 6, "name:"],
  ["adapt", 8, "adapt:"],
  ["adapt.rank", 8, "rank:"],
  ["adapt.targets", 8, "targets,"],
  ["adapt.targets[1]", 3, '"v_proj"'],
  ["adapt.seed", 8, "seed }"],
  ["train.seqLen", 4, "seqLen: 8"],
  ["train.optimizer.learningRate", 9, "learningRate:"],
  ["train.optimizer.beta2", 9, "0.95"],
  ["model.source", 7, '"m"'],
  ["model.folder", 10, "folder:"],
  ["adapt.parametrisation", 8, "adapt:"],
  ["", 12, "export default"],
])("locate() finds %s", async (field, line, text) => {
  const place = await locate(TEXT, { file: "spec.ts", field });
  assert.equal(place.line, line);
  const rest = TEXT.split("\n")[line - 1].slice((place.column ?? 0) - 1);
  assert.ok(rest.startsWith(text), `${field} at "${rest}"`);
});

Deno.test("locate() names the file alone where there is no default export", async () => {
  assert.deepEqual(await locate("export const a = 1;", { file: "x.ts", field: "name" }), {
    file: "x.ts",
    field: "name",
  });
});
