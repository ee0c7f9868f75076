/**
 * Uploads of a folder to a model hub, against one on this machine.
 * @module
 */
import assert from "node:assert/strict";
import { PacacError } from "../../src/errors.ts";
import { uploadFolder } from "../../src/formats/mod.ts";
import { COMMIT, LoopbackHub, sha256 } from "./hub_server.ts";
import { TempFolder } from "./support.ts";

const WEIGHTS = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7 >> 2);

function adapter(folder: TempFolder): string {
  folder.write("adapter/adapter_model.safetensors", WEIGHTS);
  folder.write("adapter/adapter_config.json", { r: 4 });
  folder.write("adapter/.secret", "stays here");
  folder.write("adapter/checkpoint/state", "stays here");
  return folder.file("adapter");
}

function environment(hub: LoopbackHub, more: Record<string, string> = {}) {
  const all: Record<string, string> = {
    HF_ENDPOINT: hub.address,
    HF_TOKEN: "hf_secret",
    ...more,
  };
  return (name: string) => all[name];
}

Deno.test("hub: a folder becomes one commit, large files by hash, the token with the hub alone", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  await using storage = new LoopbackHub({});
  hub.whims.storage = storage.address;
  hub.whims.hiccups = [];
  const env = environment(hub);
  const given = { env, retryDelay: 1, message: "First" };
  const { commit, url } = await uploadFolder(adapter(folder), "org/name", given);
  assert.deepEqual([commit, url], [COMMIT, `${hub.address}/commit`]);
  assert.deepEqual(hub.paths(), [
    "POST /api/repos/create",
    "POST /api/models/org/name/preupload/main",
    "POST /org/name.git/info/lfs/objects/batch",
    "POST /verify",
    "POST /api/models/org/name/commit/main",
  ]);
  assert.deepEqual(storage.paths(), ["PUT /put"]);
  const [put] = storage.asked;
  assert.deepEqual(put.body, WEIGHTS);
  assert.equal(put.headers.get("content-length"), `${WEIGHTS.length}`);
  assert.equal(put.headers.get("x-signed"), "yes");
  assert.equal(put.headers.get("authorization"), null);
  assert.ok(
    hub.asked.every(({ headers }) => headers.get("authorization") === "Bearer hf_secret"),
  );
  const sent = hub.asked.at(-1) ?? assert.fail();
  assert.equal(sent.headers.get("content-type"), "application/x-ndjson");
  const lines = new TextDecoder().decode(sent.body).trim().split("\n")
    .map((line) => JSON.parse(line));
  const content = btoa(`{"r":4}`);
  assert.deepEqual(lines, [
    { key: "header", value: { summary: "First", description: "" } },
    { key: "file", value: { path: "adapter_config.json", content, encoding: "base64" } },
    {
      key: "lfsFile",
      value: {
        path: "adapter_model.safetensors",
        algo: "sha256",
        oid: sha256(WEIGHTS),
        size: WEIGHTS.length,
      },
    },
  ]);
  const created = JSON.parse(new TextDecoder().decode(hub.asked[0].body));
  assert.deepEqual(created, { name: "name", organization: "org", type: "model", private: true });
});

Deno.test("hub: an upload that the hub drops for a moment is sent again, whole", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  await using storage = new LoopbackHub({});
  hub.whims.storage = storage.address;
  storage.whims.hiccups = [503];
  await uploadFolder(adapter(folder), "org/name", { env: environment(hub), retryDelay: 1 });
  assert.deepEqual(storage.asked.map(({ body }) => body.length), [200_000, 200_000]);
});

Deno.test("hub: uploads that cannot work are refused before or with the first request", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub({});
  const path = adapter(folder);
  const cases = [
    [path, "org/name", { HF_TOKEN: "" }, /HF_TOKEN is not set/],
    [path, "name", {}, /no name of a model/],
    [path, "../name", {}, /no name of a model/],
    [path, "org/name", { HF_HUB_OFFLINE: "1" }, /HF_HUB_OFFLINE is set/],
    [folder.file("none"), "org/name", {}, /the folder is not there/],
  ] as const;
  const run = (at: string, id: string, more: Record<string, string>) =>
    uploadFolder(at, id, { env: environment(hub, more), retryDelay: 1 })
      .then(() => assert.fail("nothing was thrown"), (error) => error);
  for (const [at, id, more, says] of cases) {
    const error = await run(at, id, more);
    assert.ok(error instanceof PacacError && error.code === "usage", `${error}`);
    assert.match(error.format(), says);
  }
  assert.equal(hub.asked.length, 0);
  hub.whims.status = 403;
  const error = await run(path, "org/name", {});
  assert.ok(error instanceof PacacError && error.code === "hub-failed", `${error}`);
  assert.match(error.format(), /make the repository org\/name: the hub answers 403/);
});
