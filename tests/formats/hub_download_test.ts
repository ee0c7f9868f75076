/**
 * Downloads into the Hugging Face cache, against a hub on this machine: layout, resume, checks, refusals.
 * @module
 */
import assert from "node:assert/strict";
import { type ErrorCode, PacacError } from "../../src/errors.ts";
import { downloadModel, type DownloadOptions, resolveModel } from "../../src/formats/mod.ts";
import { COMMIT, gitHash, LoopbackHub, sha256 } from "./hub_server.ts";
import { TempFolder } from "./support.ts";

const text = (content: string) => new TextEncoder().encode(content);
const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => i * 31 >> 3);
const FILES = {
  "config.json": text(`{"model_type": "llama"}`),
  "tokenizer.json": text("{}"),
  "model.safetensors": WEIGHTS,
  "onnx/model.onnx": text("not wanted"),
  "README.md": text("not wanted either"),
};
const REPOSITORY = "models--org--name";

function environment(hub: LoopbackHub, folder: TempFolder, more: Record<string, string> = {}) {
  const all: Record<string, string> = {
    HF_ENDPOINT: hub.address,
    HF_HUB_CACHE: folder.file("hub"),
    ...more,
  };
  return (name: string) => all[name];
}

function options(
  hub: LoopbackHub,
  folder: TempFolder,
  more: Record<string, string> = {},
): DownloadOptions {
  return { env: environment(hub, folder, more), retryDelay: 1 };
}

async function assertRejects(
  run: Promise<unknown>,
  code: ErrorCode,
  part: RegExp,
): Promise<PacacError> {
  const error = await run.then(() => assert.fail("nothing was thrown"), (error) => error);
  assert.ok(error instanceof PacacError, `not a PacacError: ${error?.stack}`);
  assert.equal(error.code, code, error.format());
  assert.match(error.format(), part);
  return error;
}

Deno.test("hub: a download has the cache's layout, and models are found in it", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const seen: string[] = [];
  const given = options(hub, folder);
  const snapshot = await downloadModel("org/name", {
    ...given,
    progress: ({ file, bytes, size }) => seen.push(`${file} ${bytes === size}`),
  });
  const root = `${folder.path}/hub/${REPOSITORY}`;
  assert.equal(snapshot, `${root}/snapshots/${COMMIT}`);
  assert.equal(Deno.readTextFileSync(`${root}/refs/main`), COMMIT);
  const names = [...Deno.readDirSync(snapshot)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["config.json", "model.safetensors", "tokenizer.json"]);
  const blob = (name: string) => Deno.readLinkSync(`${snapshot}/${name}`);
  assert.equal(blob("model.safetensors"), `../../blobs/${sha256(WEIGHTS)}`);
  assert.equal(blob("config.json"), `../../blobs/${gitHash(FILES["config.json"])}`);
  assert.deepEqual(Deno.readFileSync(`${snapshot}/model.safetensors`), WEIGHTS);
  const blobs = [...Deno.readDirSync(`${root}/blobs`)].map(({ name }) => name);
  assert.ok(blobs.every((name) => /^[0-9a-f]+$/.test(name)), `${blobs}`);
  assert.ok(seen.includes("model.safetensors true"));
  assert.equal(resolveModel("org/name", { env: given.env }).folder, snapshot);
});

Deno.test("hub: what is there is not asked for again", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  await downloadModel("org/name", options(hub, folder));
  hub.asked.length = 0;
  await downloadModel("org/name", options(hub, folder));
  assert.deepEqual(hub.paths(), ["GET /api/models/org/name/revision/main"]);
});

Deno.test("hub: a broken connection goes on where it broke", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  hub.whims.cuts = [100_000, 0, 50_000];
  const snapshot = await downloadModel("org/name", options(hub, folder));
  assert.deepEqual(Deno.readFileSync(`${snapshot}/model.safetensors`), WEIGHTS);
  const ranges = hub.asked.filter(({ path }) => path.endsWith("model.safetensors"))
    .map(({ headers }) => headers.get("range"));
  assert.equal(ranges.length, 4);
  assert.equal(ranges[0], null);
  // How much of a broken body arrives is up to the system: never more than was sent.
  const starts = ranges.slice(1).map((range) => Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0));
  assert.ok(starts[0] <= 100_000 && starts[1] <= 100_000 && starts[2] <= 150_000, `${starts}`);
  assert.ok(starts[2] > 0, "nothing was resumed");
});

Deno.test("hub: a download that was ended goes on from its file, or starts anew without ranges", async () => {
  for (const noRanges of [false, true]) {
    using folder = new TempFolder();
    await using hub = new LoopbackHub(FILES);
    hub.whims.noRanges = noRanges;
    const part = `hub/${REPOSITORY}/blobs/${sha256(WEIGHTS)}.incomplete`;
    folder.write(part, WEIGHTS.slice(0, 120_000));
    const snapshot = await downloadModel("org/name", options(hub, folder));
    assert.deepEqual(Deno.readFileSync(`${snapshot}/model.safetensors`), WEIGHTS);
    const asked = hub.asked.find(({ path }) => path.endsWith("model.safetensors"));
    assert.equal(asked?.headers.get("range"), "bytes=120000-");
  }
});

Deno.test("hub: a wrong or too long start left behind is thrown away", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const part = `hub/${REPOSITORY}/blobs/${sha256(WEIGHTS)}.incomplete`;
  folder.write(part, new Uint8Array(120_000).fill(7));
  await assertRejects(downloadModel("org/name", options(hub, folder)), "hub-failed", /not those/);
  assert.throws(() => Deno.statSync(folder.file(part)), Deno.errors.NotFound);
  folder.write(part, new Uint8Array(400_000).fill(7));
  const snapshot = await downloadModel("org/name", options(hub, folder));
  assert.deepEqual(Deno.readFileSync(`${snapshot}/model.safetensors`), WEIGHTS);
});

Deno.test("hub: other bytes than the hash names are refused and thrown away", async () => {
  const forged = WEIGHTS.slice();
  forged[1234] ^= 1;
  for (
    const [forge, says] of [
      [forged, /not those that/],
      [new Uint8Array(400_000), /longer than its/],
      [WEIGHTS.slice(0, 1000), /ended after 1000 of 300000/],
    ] as const
  ) {
    using folder = new TempFolder();
    await using hub = new LoopbackHub({ "model.safetensors": WEIGHTS });
    hub.whims.forge = forge;
    await assertRejects(downloadModel("org/name", options(hub, folder)), "hub-failed", says);
    const root = folder.file(`hub/${REPOSITORY}`);
    const blobs = [...Deno.readDirSync(`${root}/blobs`)].map(({ name }) => name);
    assert.ok(!blobs.includes(sha256(WEIGHTS)));
    assert.throws(() => Deno.statSync(`${root}/refs`), Deno.errors.NotFound);
  }
});

Deno.test("hub: a tag that is not the listed hash is refused before the download", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  hub.whims.tag = "0".repeat(64);
  await assertRejects(
    downloadModel("org/name", options(hub, folder)),
    "hub-failed",
    /its list says/,
  );
});

Deno.test("hub: refusals say what to do", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const cases = [
    [401, {}, /401.*\n.*set HF_TOKEN/],
    [401, { HF_TOKEN: "hf_x" }, /401.*\n.*HF_TOKEN is not valid/],
    [403, {}, /403.*\n.*terms/],
    [404, {}, /list the files of org\/name at main: the hub answers 404.*\n.*check the name/],
    [503, {}, /503.*\n.*later/],
  ] as const;
  for (const [status, env, says] of cases) {
    hub.whims.status = status;
    await assertRejects(downloadModel("org/name", options(hub, folder, env)), "hub-failed", says);
  }
  assert.equal(hub.asked.length, 4 + 5, "only what may pass is tried again");
});

Deno.test("hub: what passes is waited for", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  hub.whims.hiccups = [503, 429];
  await downloadModel("org/name", options(hub, folder));
});

Deno.test("hub: names that leave the folder, and lists that make no sense, are refused", async () => {
  const bad = ["../config.json", "/etc/passwd", "a/../../b", "a\\b", "a//b", "", ".", "c:d", "x\0"];
  for (const rfilename of bad) {
    using folder = new TempFolder();
    await using hub = new LoopbackHub(FILES);
    hub.whims.list = (siblings) => [...siblings, { ...siblings[0], rfilename }];
    const run = downloadModel("org/name", options(hub, folder));
    await assertRejects(run, "hub-failed", /a file named .*\n.*do not use what/);
    assert.deepEqual(folder.names(), []);
  }
  const senseless = [
    () => "nothing",
    (siblings: Record<string, unknown>[]) => siblings.map((one) => ({ ...one, size: -1 })),
    (siblings: Record<string, unknown>[]) => siblings.map((one) => ({ ...one, blobId: "../x" })),
  ];
  for (const list of senseless) {
    using folder = new TempFolder();
    await using hub = new LoopbackHub(FILES);
    hub.whims.list = list;
    const run = downloadModel("org/name", options(hub, folder));
    await assertRejects(run, "hub-failed", /not what a hub answers/);
  }
});

Deno.test("hub: the token goes to the hub and not to where it redirects", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  await using storage = new LoopbackHub(FILES);
  hub.whims.storage = storage.address;
  await downloadModel("org/name", options(hub, folder, { HF_TOKEN: "hf_secret" }));
  const tokens = (asked: LoopbackHub["asked"]) =>
    asked.map(({ headers }) => headers.get("authorization"));
  assert.ok(hub.asked.length > 2 && tokens(hub.asked).every((one) => one === "Bearer hf_secret"));
  assert.ok(storage.asked.length === 1 && tokens(storage.asked).every((one) => one === null));
});

Deno.test("hub: offline, the cache or an error, and no request", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const away = options(hub, folder, { HF_HUB_OFFLINE: "1" });
  await assertRejects(downloadModel("org/name", away), "model-not-found", /HF_HUB_OFFLINE is set/);
  assert.equal(hub.asked.length, 0);
  const snapshot = await downloadModel("org/name", options(hub, folder));
  hub.asked.length = 0;
  assert.equal(await downloadModel("org/name", away), snapshot);
  assert.equal(await downloadModel("org/name", { ...away, revision: COMMIT }), snapshot);
  assert.equal(hub.asked.length, 0);
});

Deno.test("hub: a hub that is not there, and wrong names, are told", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const given = options(hub, folder);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const gone = options(hub, folder, { HF_ENDPOINT: `http://127.0.0.1:${port}` });
  await assertRejects(downloadModel("org/name", gone), "hub-failed", /check the network/);
  const nowhere = options(hub, folder, { HF_ENDPOINT: "ftp://x" });
  await assertRejects(downloadModel("org/name", nowhere), "usage", /HF_ENDPOINT/);
  await assertRejects(downloadModel("../x", given), "usage", /no name on the hub/);
  for (const revision of ["..", "a/../b", "/x", "", "-f"]) {
    await assertRejects(downloadModel("org/name", { ...given, revision }), "usage", /no revision/);
  }
  assert.equal(hub.asked.length, 0);
});

Deno.test("hub: two downloads of one model at once give one file", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const given = options(hub, folder);
  await Promise.all([downloadModel("org/name", given), downloadModel("org/name", given)]);
  const asked = hub.asked.filter(({ path }) => path.endsWith("model.safetensors"));
  assert.equal(asked.length, 1);
});

Deno.test("hub: a download that is ended stops and keeps its bytes", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const end = new AbortController();
  const run = downloadModel("org/name", {
    ...options(hub, folder),
    signal: end.signal,
    progress: ({ file, bytes }) => {
      if (file === "model.safetensors" && bytes > 0) end.abort();
    },
  });
  await assert.rejects(run, { name: "AbortError" });
  const part = folder.file(`hub/${REPOSITORY}/blobs/${sha256(WEIGHTS)}.incomplete`);
  assert.ok(Deno.statSync(part).size > 0);
  await downloadModel("org/name", options(hub, folder));
});
