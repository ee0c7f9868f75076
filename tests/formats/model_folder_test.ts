/**
 * Finding model files: order of places, shards, and indexes that lie.
 * @module
 */
import assert from "node:assert/strict";
import { openWeights, resolveModel, writeSafetensors } from "../../src/formats/mod.ts";
import { assertFails, f32, TempFolder } from "./support.ts";

const GOLDEN = new URL("../golden/llama_tied", import.meta.url).pathname;
const INDEX = "model.safetensors.index.json";
const nothing = () => undefined;

function cached(folder: TempFolder, cache: string): string {
  const model = `${cache}models--org--tiny`;
  folder.write(`${model}/refs/main`, "0a1b2c\n");
  folder.write(`${model}/snapshots/0a1b2c/config.json`, "{}");
  const snapshot = folder.file(`${model}/snapshots/0a1b2c`);
  writeSafetensors(`${snapshot}/model.safetensors`, [f32("a", [1], [1])]);
  return snapshot;
}

function sharded(folder: TempFolder, map: Record<string, string>): void {
  writeSafetensors(folder.file("one.safetensors"), [f32("a", [1], [1])]);
  writeSafetensors(folder.file("two.safetensors"), [f32("b", [2], [2, 3])]);
  folder.write("config.json", "{}");
  folder.write(INDEX, { metadata: { total_size: 12 }, weight_map: map });
}

Deno.test("a local folder with one file", () => {
  const model = resolveModel(GOLDEN);
  assert.deepEqual(model, {
    folder: GOLDEN,
    configPath: `${GOLDEN}/config.json`,
    weightFiles: [`${GOLDEN}/model.safetensors`],
    indexPath: undefined,
  });
  const weights = openWeights(model);
  assert.deepEqual(weights.get("model.embed_tokens.weight")?.shape, [131, 48]);
  assert.equal(openWeights(GOLDEN).size, weights.size);
  const base = GOLDEN.slice(0, GOLDEN.lastIndexOf("/"));
  assert.equal(resolveModel("llama_tied", { base }).folder, GOLDEN);
});

Deno.test("the Hugging Face cache, wherever the environment puts it", () => {
  using folder = new TempFolder();
  const cases: [string, Record<string, string>][] = [
    ["", { HF_HUB_CACHE: folder.path, HF_HOME: "/nowhere" }],
    ["home/hub/", { HF_HOME: folder.file("home"), XDG_CACHE_HOME: "/nowhere" }],
    ["tilde/hub/", { HF_HOME: "~/tilde", HOME: folder.path }],
    ["xdg/huggingface/hub/", { XDG_CACHE_HOME: folder.file("xdg"), HOME: "/nowhere" }],
    [".cache/huggingface/hub/", { HOME: folder.path, HF_HOME: "" }],
  ];
  for (const [cache, variables] of cases) {
    const snapshot = cached(folder, cache);
    const model = resolveModel("org/tiny", { env: (name) => variables[name] });
    assert.equal(model.folder, snapshot, cache);
    assert.deepEqual(model.weightFiles, [`${snapshot}/model.safetensors`]);
  }
});

Deno.test("--weights comes first: a folder, or a file with the config from the source", () => {
  using folder = new TempFolder();
  writeSafetensors(folder.file("other.safetensors"), [f32("a", [1], [1])]);
  const byFile = resolveModel(GOLDEN, { weights: folder.file("other.safetensors") });
  assert.equal(byFile.configPath, `${GOLDEN}/config.json`);
  assert.deepEqual(byFile.weightFiles, [folder.file("other.safetensors")]);
  const byFolder = resolveModel("org/none", { weights: GOLDEN, env: nothing });
  assert.deepEqual(byFolder, resolveModel(GOLDEN));
  const gone = () => resolveModel(GOLDEN, { weights: folder.file("none") });
  assertFails(gone, "model-not-found", "Cannot use --weights");
  const gguf = folder.write("a.gguf", "GGUF");
  const packed = assertFails(
    () => resolveModel(GOLDEN, { weights: gguf }),
    "model-not-found",
    "GGUF",
  );
  assert.match(packed.remedy, /deno task unpack .*a\.gguf --out DIR/);
});

Deno.test("a model that is not there: the error says which files go where", () => {
  using folder = new TempFolder();
  const env = (name: string) => name === "HOME" ? folder.path : undefined;
  const find = () => resolveModel("org/none", { env });
  const error = assertFails(find, "model-not-found", "Cannot find model org/none");
  assert.match(error.remedy, /deno task download org\/none/);
  assert.match(error.remedy, /config\.json.*model\.safetensors.*--weights DIR/);
  folder.write("config.json", "{}");
  assertFails(() => resolveModel(folder.path), "model-not-found", "neither model.safetensors");
  assert.deepEqual(resolveModel(folder.path, { need: "config" }).weightFiles, []);
  Deno.removeSync(folder.file("config.json"));
  writeSafetensors(folder.file("model.safetensors"), [f32("a", [1], [1])]);
  assertFails(() => resolveModel(folder.path), "model-not-found", "no config.json");
  assert.equal(resolveModel(folder.path, { need: "weights" }).weightFiles.length, 1);
});

Deno.test("names and refs that would leave the cache are not followed", () => {
  using folder = new TempFolder();
  const env = (name: string) => name === "HF_HUB_CACHE" ? folder.path : undefined;
  cached(folder, "");
  for (const source of ["../org/tiny", "org/../tiny", "org/tiny/../..", "", "org/ti\0ny"]) {
    assertFails(() => resolveModel(source, { env }), "model-not-found", "Cannot find model");
  }
  folder.write("models--org--tiny/refs/main", "../snapshots/0a1b2c");
  assertFails(() => resolveModel("org/tiny", { env }), "model-not-found", "org/tiny");
  folder.write("models--org--tiny/refs/main", "f".repeat(300));
  assertFails(() => resolveModel("org/tiny", { env }), "model-not-found", "org/tiny");
});

Deno.test("sharded weights are one map", () => {
  using folder = new TempFolder();
  sharded(folder, { b: "two.safetensors", a: "one.safetensors" });
  const model = resolveModel(folder.path);
  assert.deepEqual(model.weightFiles, [
    folder.file("one.safetensors"),
    folder.file("two.safetensors"),
  ]);
  const weights = openWeights(model);
  assert.deepEqual([...weights.keys()].sort(), ["a", "b"]);
  assert.equal(weights.get("b")?.file, folder.file("two.safetensors"));
});

Deno.test("an index that lies is refused", () => {
  using folder = new TempFolder();
  const open = () => openWeights(resolveModel(folder.path));
  for (const name of ["../one.safetensors", "/etc/x.safetensors", "a/b.safetensors", "x.bin", ""]) {
    sharded(folder, { a: name });
    assertFails(open, "safetensors-invalid", "is no name of a safetensors file");
  }
  sharded(folder, { a: "three.safetensors" });
  assertFails(open, "model-not-found", "three.safetensors missing");
  sharded(folder, { a: "two.safetensors", b: "one.safetensors" });
  assertFails(open, "safetensors-invalid", "does not hold the tensor");
  sharded(folder, { a: "one.safetensors", c: "two.safetensors" });
  assertFails(open, "safetensors-invalid", "two.safetensors does not hold the tensor");
  sharded(folder, { a: "one.safetensors", b: "two.safetensors" });
  writeSafetensors(folder.file("two.safetensors"), [f32("a", [1], [1]), f32("b", [1], [1])]);
  assertFails(open, "safetensors-invalid", "the tensor is also in");
  writeSafetensors(folder.file("two.safetensors"), [f32("b", [1], [1]), f32("c", [1], [1])]);
  assertFails(open, "safetensors-invalid", "the index does not name the tensor");
  folder.write(INDEX, { weight_map: { a: 1 } });
  assertFails(open, "safetensors-invalid", "weight_map");
  folder.write(INDEX, "{");
  assertFails(open, "safetensors-invalid", "Cannot parse JSON");
});
