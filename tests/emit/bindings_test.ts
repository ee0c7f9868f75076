/**
 * Generated TypeScript: it type-checks, its names and shapes are literal types, and its trainer runs.
 * @module
 */
import assert from "node:assert/strict";
import { buildAddon, Cache } from "../../src/build/mod.ts";
import { emitBindings } from "../../src/emit/bindings.ts";
import { emitProgram, emitTypescript, writeGenerated } from "../../src/emit/mod.ts";
import { PLAIN, testRenderer, toyPlan } from "./fixture.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

const USE = `
import { load, type Shapes, type TensorName, tensors } from "./trainer.ts";
import type { ParameterName, WeightName } from "./bindings.ts";
const shape: Shapes["table"] = [5];
const name: TensorName = "layers.2.gain";
const weight: WeightName = "layers.0.gain";
const parameter: ParameterName = "parameters";
// @ts-expect-error a name that the program does not have
const wrong: TensorName = "layers.3.gain";
// @ts-expect-error a parameter is no weight
const role: WeightName = "parameters";
// @ts-expect-error a shape that the tensor does not have
const other: Shapes["table"] = [6];
await using trainer = await load({ init: { seed: 1 }, threads: 2 });
const values: Float32Array = trainer.read("parameters");
const ids: Int32Array = trainer.read("input_ids");
// @ts-expect-error not a tensor
const none = () => trainer.read("nothing");
const known = tensors.table.shape[0] + trainer.info.vocabSize;
console.log(JSON.stringify({
  values: values.length, ids: ids.length, known, threads: trainer.info.arenaBytes,
  shape, name, weight, parameter, unused: [wrong, role, other, typeof none],
}));
`;

async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [args[0], "--quiet", "--config", CONFIG, ...args.slice(1)],
    env: { NO_COLOR: "1" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.ok(success, decode(stderr));
  return decode(stdout);
}

Deno.test("a generated folder type-checks against its own names and loads", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "pacac-bindings-" });
  try {
    const plan = toyPlan();
    const cache = new Cache();
    const { sources, constants } = emitProgram(plan, { renderer: testRenderer(), memo: cache });
    const addon = await buildAddon(sources, { flags: PLAIN.flags, folder, cache });
    const options = { addon: addon.name, constants: constants.places, memo: cache };
    const typescript = await emitTypescript(plan.info, options);
    assert.deepEqual(await emitTypescript(plan.info, options), typescript, "from the cache");
    const files = [
      ...[...sources, ...typescript].map(({ file, source }) => ({ file, content: source })),
    ];
    Deno.mkdirSync(`${folder}/kernels`);
    Deno.writeTextFileSync(`${folder}/kernels/old_T1_01234567.cpp`, "");
    Deno.writeTextFileSync(`${folder}/notes.txt`, "mine");
    writeGenerated(folder, files, { keep: [addon.name] });
    const there = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    const expected = [addon.name, "bindings.ts", "kernels", "notes.txt"];
    assert.deepEqual(there, [...expected, "program.cpp", "schedule.cpp", "trainer.ts"]);
    assert.equal([...Deno.readDirSync(`${folder}/kernels`)].length, 6, "stale kernels are gone");
    Deno.writeTextFileSync(`${folder}/use.ts`, USE);
    await deno("check", `${folder}/use.ts`);
    const output = JSON.parse(await deno("run", "-A", `${folder}/use.ts`));
    assert.equal(output.values, 5);
    assert.equal(output.ids, 8);
    assert.equal(output.known, 10);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("emitBindings() writes data as TypeScript, whatever names say", () => {
  const { info } = toyPlan();
  const name = 'odd "name"\n\\ ${x}';
  const tensors = [{ name, shape: [1, 2], dtype: "f32", role: "weight" }] as const;
  const config = { "a-b": [1, { c: null }], __proto__x: true };
  const text = emitBindings({ ...info, tensors, config });
  assert.ok(text.includes(JSON.stringify(name)));
  assert.match(text, /config: \{ \["a-b"\]: \[1, \{ c: null \}\], __proto__x: true \}/);
  assert.doesNotMatch(text, /openAddon/);
});
