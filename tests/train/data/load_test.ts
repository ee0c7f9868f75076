/** From files to rows: cache, weights, splits, bad rows, identity. */
import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { requireSameData } from "../../../src/train/data/identity.ts";
import { parseInput, parseMap } from "../../../src/train/data/inputs.ts";
import { PACK_STRATEGIES } from "../../../src/train/data/layout.ts";
import { loadData } from "../../../src/train/data/load.ts";
import { RowOrder, rowsOfEpoch, takeRows } from "../../../src/train/data/order.ts";
import { pack } from "../../../src/train/data/pack.ts";
import { summarize } from "../../../src/train/data/summary.ts";
import { smallTokenizer } from "../small_tokenizer.ts";
import { filesIn } from "./support.ts";

const tokenizer = await smallTokenizer();
const options = { tokenizer, seqLen: 32 };
const texts = (from: number, count: number) =>
  Array.from(
    { length: count },
    (_, i) => JSON.stringify({ text: `row ${from + i} ${"x".repeat(i % 9)}` }),
  )
    .join("\n");

Deno.test("rows from the cache, from a file just written and from memory are the same", async () => {
  const folder = await filesIn({ "a.jsonl": texts(0, 40) });
  const file = join(folder, "a.jsonl"), cache = join(folder, "cache");
  const inMemory = await loadData(file, options);
  const written = await loadData(file, { ...options, cache });
  const reopened = await loadData(file, { ...options, cache });
  deepEqual([inMemory.cached, written.cached, reopened.cached], [false, false, true]);
  const all = (data: typeof inMemory) => data.train.take([...Array(data.train.rows).keys()]);
  deepEqual(all(written), all(inMemory));
  deepEqual(all(reopened), all(inMemory));
  deepEqual(reopened.files, inMemory.files);
  // And they are what pack() makes of the same documents.
  const documents = Array.from({ length: 40 }, (_, i) => inMemory.store.read(i));
  for (const strategy of PACK_STRATEGIES) {
    const loaded = await loadData(file, { ...options, strategy });
    const packed = pack(documents, { seqLen: 32, strategy, padId: tokenizer.padId ?? 0 });
    deepEqual(all(loaded), takeRows(packed, [...Array(packed.rows).keys()]));
    deepEqual(loaded.train.stats, packed.stats);
  }
});

Deno.test("a damaged cache is made again; another option has another file", async () => {
  const folder = await filesIn({ "a.jsonl": texts(0, 9) });
  const file = join(folder, "a.jsonl"), cache = join(folder, "cache");
  await loadData(file, { ...options, cache });
  const [name] = readdirSync(cache);
  const good = readFileSync(join(cache, name));
  for (const at of [0, 20, good.length - 1]) {
    const bad = Uint8Array.from(good);
    bad[at] ^= 1;
    writeFileSync(join(cache, name), bad);
    equal((await loadData(file, { ...options, cache })).cached, false);
    deepEqual(readFileSync(join(cache, name)), good);
  }
  writeFileSync(join(cache, name), good.subarray(0, 100));
  equal((await loadData(file, { ...options, cache })).cached, false);
  await loadData(file, { ...options, seqLen: 16, cache });
  equal(readdirSync(cache).length, 2);
  writeFileSync(file, texts(1, 9));
  equal((await loadData(file, { ...options, cache })).cached, false);
});

Deno.test("a fault leaves no file in the cache, and neither does a stop", async () => {
  const folder = await filesIn({ "a.jsonl": `${texts(0, 9)}\n{"text":3}\n` });
  const file = join(folder, "a.jsonl"), cache = join(folder, "cache");
  await rejects(loadData(file, { ...options, cache }), {
    code: "data-invalid",
    place: { file, line: 10, field: "text" },
  });
  await rejects(loadData(file, { ...options, cache, signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  deepEqual(readdirSync(cache), []);
});

Deno.test("bad rows are passed over as far as is allowed, and named", async () => {
  const folder = await filesIn({ "a.jsonl": `{"text":"a"}\n{\n{"text":null}\n{"text":"the cat"}` });
  const file = join(folder, "a.jsonl");
  const { skipped, train } = await loadData(file, { ...options, skipBad: 2 });
  deepEqual(skipped.map(({ place }) => place.line), [2, 3]);
  equal(train.stats.documents, 2);
  await rejects(loadData(file, { ...options, skipBad: 1 }), {
    place: { file, line: 3, field: "text" },
    message: /1 bad rows were skipped before/,
  });
});

Deno.test("a folder's files are read in order of their names, others are left out", async () => {
  const folder = await filesIn({
    "b/two.jsonl": texts(1, 1),
    "a.csv": "text,n\nrow a,1\n",
    "README.md": "no data",
    ".hidden.jsonl": "{",
  });
  const data = await loadData(folder, options);
  deepEqual(data.files.map(({ file }) => file.slice(folder.length)), ["/a.csv", "/b/two.jsonl"]);
  await rm(join(folder, "a.csv"));
  await rm(join(folder, "b/two.jsonl"));
  await rejects(loadData(folder, options), { code: "data-invalid", message: /no data files/ });
});

Deno.test("weights set what an epoch takes of each input; in time all rows are taken", async () => {
  const folder = await filesIn({ "a.jsonl": texts(0, 60), "b.jsonl": texts(100, 30) });
  const inputs = [
    { path: join(folder, "a.jsonl"), weight: 1 },
    { path: join(folder, "b.jsonl"), weight: 3 },
  ];
  const { train } = await loadData(inputs, options);
  const [a, b] = train.mix ?? [];
  equal(b.taken, b.rows);
  equal(a.taken, Math.floor(b.rows / 3));
  const epoch = rowsOfEpoch(train);
  equal(epoch, a.taken + b.taken);
  const order = new RowOrder(train, 5);
  const seen = new Map<number, number>();
  const passes = Math.ceil(a.rows / a.taken);
  for (let at = 0; at < epoch * passes; at++) {
    const row = order.rowAt(at);
    seen.set(row, (seen.get(row) ?? 0) + 1);
  }
  equal(seen.size, train.rows);
  const first = Array.from({ length: epoch }, (_, i) => order.rowAt(i));
  equal(new Set(first).size, epoch);
  equal(first.filter((row) => row < b.first).length, a.taken);
  deepEqual(Array.from({ length: epoch }, (_, i) => new RowOrder(train, 5).rowAt(i)), first);
});

Deno.test("validation is a share by hash: equal rows fall to the same side, others do not move", async () => {
  const folder = await filesIn({
    "a.jsonl": `${texts(0, 200)}\n${texts(0, 200)}`,
    "b.jsonl": texts(0, 100),
  });
  const split = { ...options, validationShare: 0.2 };
  const whole = await loadData(join(folder, "a.jsonl"), split);
  const kept = whole.validation?.stats.documents ?? 0;
  ok(kept > 40 && kept < 120 && kept % 2 === 0, `${kept}`);
  equal(kept + whole.train.stats.documents, 400);
  const part = await loadData(join(folder, "b.jsonl"), split);
  const apart = (data: typeof whole) =>
    Array.from({ length: 100 }, (_, i) => data.store.index.hashes[2 * i] < 0.2 * 2 ** 32);
  deepEqual(apart(part), apart(whole));
  equal(summarize(whole).duplicates, 200);
});

Deno.test("a row says where its documents are from", async () => {
  const folder = await filesIn({ "a.jsonl": texts(0, 3) });
  const file = join(folder, "a.jsonl");
  const { train } = await loadData(file, { ...options, strategy: "padded" });
  equal(train.rows, 3);
  deepEqual(
    [0, 1, 2].map((row) => train.originsOf(row)),
    [1, 2, 3].map((line) => [{ file, line }]),
  );
});

Deno.test("requireSameData() names what changed", async () => {
  const folder = await filesIn({ "a.jsonl": texts(0, 3), "b.jsonl": texts(3, 3) });
  const load = async (more = {}) => (await loadData(folder, { ...options, ...more })).identity;
  const before = await load();
  requireSameData(JSON.parse(JSON.stringify(before)), await load());
  const longer = await load({ seqLen: 16 });
  throws(() => requireSameData(before, longer), { message: /"seqLen":16/ });
  const split = await load({ validationShare: 0.5 });
  throws(() => requireSameData(before, split), { code: "checkpoint-invalid" });
  writeFileSync(join(folder, "b.jsonl"), texts(4, 3));
  const changed = await load();
  throws(() => requireSameData(before, changed), {
    code: "checkpoint-invalid",
    place: { file: join(folder, "b.jsonl") },
    message: /changed since/,
  });
  notEqual(before.fingerprint, changed.fingerprint);
});

Deno.test("an override reads JSON lines as the text they are, where they have no text", async () => {
  const folder = await filesIn({ "a.jsonl": '{"x":1}\n{"x":2}\n', "b.jsonl": texts(0, 1) });
  const as = { ...options, format: "text" } as const;
  const prose = await loadData(join(folder, "a.jsonl"), as);
  deepEqual(prose.files.map(({ container }) => container), ["text"]);
  equal(tokenizer.decode(prose.store.read(0).ids), '{"x":1}\n{"x":2}\n<|end|>');
  const rows = await loadData(join(folder, "b.jsonl"), as);
  deepEqual(rows.files.map(({ container }) => container), ["jsonl"]);
});

Deno.test("parseInput() reads weights, but not out of a name that is there", async () => {
  const folder = await filesIn({ "a:2": "x" });
  const resolve = (path: string) => join(folder, path);
  deepEqual(await parseInput("b.jsonl:0.7", resolve), { path: resolve("b.jsonl"), weight: 0.7 });
  deepEqual(await parseInput("a:2", resolve), { path: resolve("a:2") });
  deepEqual(await parseInput("b:x", resolve), { path: resolve("b:x") });
  await rejects(parseInput("b:0", resolve), { code: "usage" });
});

Deno.test("parseMap() reads pairs of names that formats know", () => {
  const known = ["instruction", "output"];
  deepEqual([...parseMap("q=instruction, a = output", known)], [["q", "instruction"], [
    "a",
    "output",
  ]]);
  for (const text of ["q", "q=", "=output", "q=output=x", "q=nothing"]) {
    throws(() => parseMap(text, known), { code: "usage" });
  }
});
