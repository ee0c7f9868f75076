/**
 * Data sets of the hub: names, the files that belong to them by card and by name, download from a hub on this machine, and the
 * cache without a network.
 * @module
 */
import assert from "node:assert/strict";
import { type ErrorCode, PacacError } from "../../src/errors.ts";
import { datasetConfigs } from "../../src/formats/dataset_card.ts";
import { chooseDataFiles } from "../../src/formats/hub_dataset.ts";
import {
  cachedDataset,
  downloadDataset,
  type DownloadOptions,
  parseDatasetName,
} from "../../src/formats/mod.ts";
import { parseInput, pinnedInput } from "../../src/train/data/inputs.ts";
import { loadData } from "../../src/train/data/load.ts";
import { smallTokenizer } from "../train/small_tokenizer.ts";
import { COMMIT, LoopbackHub } from "./hub_server.ts";
import { TempFolder } from "./support.ts";

const text = (content: string) => new TextEncoder().encode(content);

/** The lists of the card of a data set with two configurations, as such cards are written. */
const CARD = `---
language:
- en
task_categories: [question-answering]
dataset_info:
  - config_name: main
    features: &f
      - name: question
        dtype: string
configs:
- config_name: main
  default: true
  data_files:
  - split: train
    path: main/train-*
  - split: test
    path:
    - main/test-*   # one of many
- config_name: 'socratic'
  data_files:
    - split: "train"
      path: [socratic/train-*, 'extra.jsonl']
license: mit
---
# A title
configs: no longer YAML
`;

const NAMES = [
  "README.md",
  ".gitattributes",
  "main/train-00000-of-00002.parquet",
  "main/train-00001-of-00002.parquet",
  "main/test-00000-of-00001.parquet",
  "socratic/train-00000-of-00001.parquet",
  "extra.jsonl",
  "training_notes.pdf",
];

function choose(names: readonly string[], card: string | undefined, name: string): string[] {
  using folder = new TempFolder();
  if (card !== undefined) folder.write("README.md", card);
  return chooseDataFiles({ names, snapshot: folder.path }, parseDatasetName(name));
}

function fails(run: () => unknown, code: ErrorCode, part: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof PacacError, `not a PacacError: ${error}`);
    assert.equal(error.code, code, error.format());
    assert.match(error.format(), part);
    return true;
  });
}

Deno.test("dataset: names", () => {
  assert.deepEqual(parseDatasetName("hf:org/name"), { id: "org/name" });
  assert.deepEqual(parseDatasetName("org/name:test"), { id: "org/name", split: "test" });
  assert.deepEqual(parseDatasetName("hf:a/b@refs/convert/parquet:main/"), {
    id: "a/b",
    revision: "refs/convert/parquet",
    config: "main",
  });
  for (const bad of ["hf:", "hf:../x", "hf:a/b/c", "hf:a/b@../x", "hf:a/b:c/d/e", "hf:a b"]) {
    fails(() => parseDatasetName(bad), "usage", /no name of one.*\n.*hf:owner\/name:split/);
  }
});

Deno.test("dataset: the card's configurations and splits choose the files", () => {
  const train = NAMES.slice(2, 4);
  assert.deepEqual(choose(NAMES, CARD, "org/name"), train);
  assert.deepEqual(choose(NAMES, CARD, "org/name:main/train"), train);
  assert.deepEqual(choose(NAMES, CARD, "org/name:test"), [NAMES[4]]);
  assert.deepEqual(choose(NAMES, CARD, "org/name:socratic/"), ["extra.jsonl", NAMES[5]]);
  fails(() => choose(NAMES, CARD, "org/name:dev"), "data-invalid", /its splits are train, test/);
  fails(() => choose(NAMES, CARD, "org/name:x/train"), "data-invalid", /they are main, socratic/);
  const none = CARD.replace("  default: true\n", "");
  fails(() => choose(NAMES, none, "org/name"), "data-invalid", /several configurations/);
});

Deno.test("dataset: without lists in the card, names of files and folders show the splits", () => {
  const cases: readonly [string[], string, string[]][] = [
    [["data/train-1.parquet", "data/test-1.parquet"], "a/b", ["data/train-1.parquet"]],
    [["train.jsonl", "dev.jsonl"], "a/b:validation", ["dev.jsonl"]],
    [["x/eval/1.csv", "x/training/1.csv"], "a/b:test", ["x/eval/1.csv"]],
    [["alpaca.json", "notes.md"], "a/b", ["alpaca.json"]],
    [["trains.json"], "a/b:train", ["trains.json"]],
    [["en/train.csv", "de/train.csv"], "a/b:de/train", ["de/train.csv"]],
    [["only_test.csv"], "a/b", ["only_test.csv"]],
    [["b.txt.gz", "a.txt.zst"], "a/b", ["a.txt.zst", "b.txt.gz"]],
  ];
  for (const [names, name, files] of cases) {
    assert.deepEqual(choose(names, undefined, name), files, name);
    assert.deepEqual(choose(names, "no front matter\nconfigs:\n", name), files, name);
  }
  fails(() => choose(["script.py"], undefined, "a/b"), "data-invalid", /refs\/convert\/parquet/);
  fails(
    () => choose(["x.csv"], undefined, "a/b:en/train"),
    "data-invalid",
    /no configuration is en/,
  );
});

Deno.test("dataset: cards in other spellings", () => {
  const splits = (yaml: string) =>
    datasetConfigs(`---\n${yaml}\n---\n`, "README.md").map((config) => [
      config.name,
      Object.fromEntries(config.splits),
    ]);
  assert.deepEqual(splits("configs:\n- config_name: a\n  data_files: '*.csv'"), [
    ["a", { train: ["*.csv"] }],
  ]);
  assert.deepEqual(splits("configs:\n  - data_files:\n      train: t.csv\n      test: [a, b]"), [
    ["default", { train: ["t.csv"], test: ["a", "b"] }],
  ]);
  assert.deepEqual(splits("configs:\n- config_name: a\n  data_dir: en/\nother: 1"), [
    ["a", { "": ["en/**"] }],
  ]);
  assert.deepEqual(splits("tags: [x]"), []);
  const names = ["en/train.csv", "de/train.csv", "en/test.csv"];
  const card = "---\nconfigs:\n- config_name: a\n  data_dir: en\n---\n";
  assert.deepEqual(choose(names, card, "a/b:test"), ["en/test.csv"]);
});

Deno.test("dataset: cards that are not read say where", () => {
  const cases = [
    ["configs: &x\n", undefined],
    ["configs:\n- config_name: !!str a\n", 3],
    ["configs:\n- config_name: a\n  data_files: {train: x}\n", 4],
    ["configs:\n- config_name: a\n     deeper: x\n", 4],
    ["configs:\n- data_files: [a,\n", 3],
    ["configs:\n  a: b\n", 2],
    [`configs:\n${Array.from({ length: 40 }, (_, i) => `${" ".repeat(i)}-`).join("\n")}`, 20],
  ] as const;
  for (const [yaml, line] of cases) {
    const read = () => datasetConfigs(`---\n${yaml}\n---\n`, "README.md");
    if (line === undefined) assert.deepEqual(read(), []);
    else fails(read, "data-invalid", new RegExp(`README\\.md:${line}: .*\\n.*with --data`));
  }
});

const ROWS = Array.from({ length: 6 }, (_, i) => JSON.stringify({ text: `row ${i}` })).join("\n");
const FILES = {
  "README.md": text(
    "---\nconfigs:\n- config_name: a\n  data_files:\n  - split: train\n    path: data/*\n---\n",
  ),
  "data/train-00000-of-00002.jsonl": text(ROWS),
  "data/train-00001-of-00002.jsonl": text(ROWS.replaceAll("row", "line")),
  "data/image.png": text("not wanted"),
};

function options(hub: LoopbackHub, folder: TempFolder): DownloadOptions {
  const all: Record<string, string> = {
    HF_ENDPOINT: hub.address,
    HF_HUB_CACHE: folder.file("hub"),
  };
  return { env: (name) => all[name], retryDelay: 1 };
}

Deno.test("dataset: a download has the cache's layout, and training reads it without a network", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const given = options(hub, folder);
  const name = parseDatasetName("hf:org/name:train");
  fails(() => cachedDataset(name, given.env), "io", /download --dataset org\/name:train/);
  const snapshot = await downloadDataset(name, given);
  assert.equal(snapshot, folder.file(`hub/datasets--org--name/snapshots/${COMMIT}`));
  assert.equal(Deno.readTextFileSync(folder.file("hub/datasets--org--name/refs/main")), COMMIT);
  const asked = hub.paths().filter((path) => path.includes("resolve"));
  assert.deepEqual(
    asked.map((path) => path.replace(/.*resolve\/[0-9a-f]+\//, "")),
    ["README.md", "data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl"],
  );
  assert.ok(asked.every((path) => path.startsWith("GET /datasets/org/name/resolve/")));
  const { files, pinned } = cachedDataset(name, given.env);
  assert.deepEqual(
    files.map((file) => file.slice(snapshot.length + 1)),
    Object.keys(FILES).slice(1, 3),
  );
  assert.equal(pinned, `hf:org/name@${COMMIT}:train`);
  assert.deepEqual(cachedDataset(parseDatasetName(pinned), given.env), { files, pinned });

  const before = Deno.env.get("HF_HUB_CACHE");
  Deno.env.set("HF_HUB_CACHE", folder.file("hub"));
  try {
    const resolve = () => assert.fail("a data set is no path");
    const input = await parseInput("hf:org/name:train:0.5", resolve);
    assert.deepEqual(input, { path: pinned, files, weight: 0.5 });
    assert.equal(pinnedInput("hf:org/name:train:0.5"), `${pinned}:0.5`);
    const data = await loadData([input], { tokenizer: await smallTokenizer(), seqLen: 32 });
    assert.deepEqual(data.files.map(({ rows }) => rows), [6, 6]);
    await assert.rejects(parseInput("hf:org/other", resolve), { code: "io" });
  } finally {
    if (before === undefined) Deno.env.delete("HF_HUB_CACHE");
    else Deno.env.set("HF_HUB_CACHE", before);
  }
});

Deno.test("dataset: a part that is missing is told, not left out", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const given = options(hub, folder);
  const one = "data/train-00001-of-00002.jsonl";
  await downloadDataset(parseDatasetName("org/name"), { ...given, wanted: (file) => file === one });
  fails(
    () => cachedDataset(parseDatasetName("org/name"), given.env),
    "io",
    /1 of the 2 files data\/train\*\.jsonl are in the cache/,
  );
});

Deno.test("dataset: what does not fit the name is told before data is fetched", async () => {
  using folder = new TempFolder();
  await using hub = new LoopbackHub(FILES);
  const run = downloadDataset(parseDatasetName("org/name:test"), options(hub, folder));
  await assert.rejects(run, { code: "data-invalid", remedy: /its splits are train/ });
  assert.ok(hub.paths().every((path) => !path.includes("train-")), `${hub.paths()}`);
});
