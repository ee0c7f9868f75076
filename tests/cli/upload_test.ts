/**
 * `upload` and `download --dataset` as commands, against a hub on this machine.
 * @module
 */
import assert from "node:assert/strict";
import { COMMIT, LoopbackHub } from "../formats/hub_server.ts";
import { TempFolder } from "../formats/support.ts";
import { type Outcome, runHere } from "./in_process.ts";

const TOKEN = "hf_secretsecret";

function run(line: readonly string[], hub: LoopbackHub, folder: TempFolder): Promise<Outcome> {
  return runHere(line, {
    INIT_CWD: folder.path,
    HF_ENDPOINT: hub.address,
    HF_TOKEN: TOKEN,
    HF_HUB_CACHE: folder.file("hub"),
    HF_HUB_OFFLINE: "",
  });
}

function runFolder(folder: TempFolder): void {
  folder.write("run/adapter/adapter_config.json", { r: 4 });
  folder.write("run/adapter/adapter_model.safetensors", new Uint8Array(5000));
  folder.write("run/adapter/README.md", "# A card");
  folder.write("run/checkpoint/checkpoint.json", "stays here");
  folder.write("run/run.json", "stays here");
}

Deno.test("upload sends a run's adapter as one commit, with progress, and never the token", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  runFolder(folder);
  const { code, out, err } = await run(
    ["upload", "run", "--repo", "org/name", "--message", "Better answers"],
    hub,
    folder,
  );
  assert.equal(code, 0, err);
  assert.equal(out, `${hub.address}/commit`);
  assert.match(err, /1\/3 {2}README\.md.*\n2\/3 {2}adapter_config\.json/);
  assert.match(err, new RegExp(`commit ${COMMIT}`));
  assert.ok(!`${out}${err}`.includes("secret"), "the token was printed");
  const text = new TextDecoder().decode(hub.asked.at(-1)?.body);
  assert.match(text, /"summary":"Better answers"/);
  assert.match(new TextDecoder().decode(hub.asked[0].body), /"private":true/);
});

Deno.test("upload --public makes a public repository", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  runFolder(folder);
  const { code, err } = await run(
    ["upload", "run/adapter", "--repo", "org/name", "--public"],
    hub,
    folder,
  );
  assert.equal(code, 0, err);
  assert.match(new TextDecoder().decode(hub.asked[0].body), /"private":false/);
});

Deno.test("upload --dry-run says what would be sent, and asks nobody", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  runFolder(folder);
  const { code, out, err } = await run(
    ["upload", "run", "--repo", "org/name", "--dry-run"],
    hub,
    folder,
  );
  assert.equal(code, 0, err);
  assert.match(err, /would send these files of \S+run\/adapter to org\/name/);
  assert.match(err, /made private/);
  assert.deepEqual(out.split("\n").map((line) => line.split(" ")[0]), [
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
  ]);
  assert.equal(hub.asked.length, 0);
});

Deno.test("upload refuses what is no adapter, and tells of a hub that refuses, without the token", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  folder.write("run/run.json", "x");
  const cases: readonly [string[], RegExp][] = [
    [["upload", "run", "--repo", "org/name"], /it has no adapter and no model/],
    [["upload", "none", "--repo", "org/name"], /the folder is not there/],
    [["upload", "run"], /--repo <org\/name>' not specified/],
  ];
  for (const [line, says] of cases) {
    const { code, err } = await run(line, hub, folder);
    assert.equal(code, 2, err);
    assert.match(err, says);
  }
  runFolder(folder);
  const bad = await run(["upload", "run", "--repo", "name"], hub, folder);
  assert.match(bad.err, /write it as org\/name/);
  hub.whims.status = 403;
  const { code, err } = await run(["upload", "run", "--repo", "org/name"], hub, folder);
  assert.equal(code, 1, err);
  assert.match(err, /the hub answers 403/);
  assert.ok(!err.includes("secret"), err);
});

Deno.test("download --dataset fetches a split, and says how to train on it", async () => {
  using folder = new TempFolder();
  const rows = new TextEncoder().encode('{"text":"a row"}\n');
  await using hub = new LoopbackHub({ "train.jsonl": rows, "test.jsonl": rows });
  const { code, out, err } = await run(["download", "--dataset", "org/name:test"], hub, folder);
  assert.equal(code, 0, err);
  assert.equal(out, folder.file(`hub/datasets--org--name/snapshots/${COMMIT}`));
  assert.match(err, /train on it with --data hf:org\/name:test/);
  assert.deepEqual([...Deno.readDirSync(out)].map(({ name }) => name), ["test.jsonl"]);
});
