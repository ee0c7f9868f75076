/**
 * The file of tuned values: round trip, hostile files, merging, pruning; and what compile takes from it.
 * @module
 */
import assert from "node:assert/strict";
import { findToolchain } from "../../src/build/toolchain.ts";
import { processorName } from "../../src/build/processor.ts";
import { PacacError } from "../../src/errors.ts";
import type { Tunables } from "../../src/targets/target.ts";
import { choiceFrom, openChoice } from "../../src/tune/choose.ts";
import { Database, type Entry, update } from "../../src/tune/database.ts";
import { callKey, KernelHashes } from "../../src/tune/keys.ts";
import { linear } from "../../src/targets/cpu/kernels/linear.ts";
import { addCall, entry, ISA, MACHINE } from "./support.ts";

async function inFolder(run: (file: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pacac-test-" });
  try {
    await run(`${folder}/below/tuned.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const machine = {
  processor: MACHINE.processor,
  isa: ISA.name,
  threads: MACHINE.threads,
  flopsPerSecond: MACHINE.flopsPerSecond,
  bytesPerSecond: MACHINE.bytesPerSecond,
  measured: "2026-01-02T03:04:05.000Z",
};

Deno.test("what is written is read, and the newest of a key stays", () =>
  inFolder((file) => {
    const newer = entry({ gain: 2, measured: "2026-01-03T00:00:00.000Z" });
    const other = entry({ call: "linear z" });
    update(file, (database) => {
      database.addMachine(machine);
      [newer, entry(), other].forEach((one) => database.add(one));
    });
    const database = Database.read(file);
    assert.equal(database.entries.length, 2);
    assert.deepEqual(database.find(newer, newer), newer);
    assert.deepEqual(database.find(other, other), other);
    assert.deepEqual(database.machine(machine), machine);
    for (
      const changes of [
        { processor: "another" },
        { threads: 3 },
        { isa: "avx2" },
        { compiler: "g++ 13" },
      ]
    ) {
      assert.equal(database.find({ ...newer, ...changes }, newer), undefined);
    }
    assert.equal(database.find(newer, { ...newer, kernelHash: "4567" }), undefined);
    assert.deepEqual([...Deno.readDirSync(file.slice(0, file.lastIndexOf("/")))].length, 1);
  }));

Deno.test("entries that do not fit are left out, with a note", () =>
  inFolder((file) => {
    update(file, (database) => database.add(entry()));
    const content = JSON.parse(Deno.readTextFileSync(file));
    const bad: unknown[] = [
      null,
      7,
      {},
      { ...entry(), gain: -1 },
      { ...entry(), gain: "fast" },
      { ...entry(), seconds: 1e300 },
      { ...entry(), threads: 1.5 },
      { ...entry(), measured: "yesterday" },
      { ...entry(), values: { mr: {} } },
      { ...entry(), values: { mr: "x".repeat(100) } },
      {
        ...entry(),
        values: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`v${i}`, i])),
      },
      { ...entry(), kernel: "x".repeat(5000) },
      { ...entry(), surprise: 1 },
    ];
    content.entries.push(...bad);
    content.machines.push({ ...machine, flopsPerSecond: 0 });
    Deno.writeTextFileSync(file, JSON.stringify(content));
    const database = Database.read(file);
    assert.deepEqual(database.entries, [entry()]);
    assert.deepEqual(database.machines, []);
    assert.match(database.notes[0], new RegExp(`${bad.length + 1} entries are damaged`));
  }));

Deno.test("files that are no database are errors where they were named", () =>
  inFolder((file) => {
    assert.deepEqual(Database.read(file).entries, []);
    update(file, () => {});
    for (const text of ["", "{", "[]", '{"version":2,"machines":[],"entries":[]}', "\xff"]) {
      Deno.writeTextFileSync(file, text);
      const isIo = (error: unknown) => error instanceof PacacError && error.code === "io";
      assert.throws(() => Database.read(file), isIo, text);
      assert.throws(() => openChoice(file, { isa: ISA, threads: 2 }), isIo, text);
    }
  }));

Deno.test("merging takes over what is new or newer", () => {
  const [a, b] = [new Database(), new Database()];
  a.add(entry({ measured: "2026-01-02T00:00:00.000Z", gain: 1.1 }));
  b.add(entry({ measured: "2026-01-01T00:00:00.000Z", gain: 1.2 }));
  b.add(entry({ call: "another" }));
  b.addMachine(machine);
  a.merge(b);
  assert.deepEqual(a.entries.map(({ gain }) => gain), [1.1, 1.25]);
  assert.deepEqual(a.machines, [machine]);
});

Deno.test("pruning drops what is stale and nothing else", () => {
  const hashes = new KernelHashes();
  const kernelHash = hashes.of("linear");
  assert.ok(kernelHash !== undefined);
  assert.equal(hashes.of("../../etc/passwd"), undefined);
  assert.notEqual(hashes.of("linear_backward_input"), kernelHash);
  const database = new Database();
  const current = entry({ kernelHash });
  const elsewhere = entry({ kernelHash, processor: "another", compiler: "clang" });
  for (
    const one of [
      current,
      elsewhere,
      entry({ kernelHash: "old" }),
      entry({ kernel: "gone", kernelHash }),
      entry({ kernelHash, compiler: "g++ 11" }),
    ]
  ) database.add(one);
  assert.equal(database.prune(hashes, { processor: "test", compiler: "g++ 12" }), 3);
  assert.deepEqual(new Set(database.entries), new Set([current, elsewhere]));
});

Deno.test("compile takes legal values of this machine and the present kernel alone", () => {
  const call = addCall(3);
  // A call that linear's tiles can be judged by.
  const dims = { T: 8, O: 8, K: 8 };
  const product = { ...call, dims };
  const kernelHash = new KernelHashes().of("linear");
  assert.ok(kernelHash !== undefined);
  const { version, machine } = findToolchain();
  const sizes = { mr: 4, nv: 2, kc: 128, mc: 48, nc: 64, unroll: 4, fetch: 1 };
  const values = { ...sizes, slice: 0, parts: 4, stream: 0 };
  const here: Partial<Entry> = {
    processor: processorName(),
    compiler: `${version} ${machine}`,
    kernelHash,
    call: callKey(linear, product, ISA),
    values,
  };
  const chosen = (changes: Partial<Entry>): Tunables | undefined => {
    const database = new Database();
    database.add(entry({ ...here, ...changes }));
    return choiceFrom(database, { isa: ISA, threads: 2 }).choose(linear, product);
  };
  assert.deepEqual(chosen({}), here.values);
  for (
    const changes of [
      { threads: 1 },
      { isa: "avx2" },
      { processor: "another" },
      { compiler: "another" },
      { kernelHash: "old" },
      { call: "another" },
      { gain: 1 }, // The defaults were best: today's are taken.
      { values: { mr: 4 } },
      { values: { ...values, mr: 5 } },
      { values: { ...values, mr: "4" } },
      { values: { ...values, mr: 14, nv: 4 } }, // More registers than there are.
      { values: { ...values, extra: 1 } },
    ]
  ) assert.equal(chosen(changes), undefined, JSON.stringify(changes));
});
