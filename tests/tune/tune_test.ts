/**
 * Tuning the demo's model from end to end with a little time: what it leaves is found by the next run, and by compile.
 * @module
 */
import assert from "node:assert/strict";
import { compile } from "../../src/compile.ts";
import { loadSpec } from "../../src/spec/load.ts";
import { Database } from "../../src/tune/database.ts";
import { tune } from "../../src/tune/tune.ts";
import { inRepository } from "../support/paths.ts";

const OPTIONS = { target: "cpu", isa: "native", threads: 2, build: false } as const;

Deno.test("a tuned kernel is kept, known the next time, and taken by compile", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pacac-test-" });
  try {
    const loaded = await loadSpec(inRepository("models/tiny.ts"));
    const file = `${folder}/tuned.json`;
    const options = { ...OPTIONS, outDir: folder };
    const { plan } = await compile(loaded, { ...options, tuned: false });
    const said: string[] = [];
    const tuning = {
      file,
      seconds: 90,
      wanted: (kernel: string) => kernel === "lm_head_logits",
      onProgress: (text: string) => said.push(text),
    };
    const first = await tune(plan, tuning);
    assert.equal(first.calls.length, 1);
    const [{ state, measured, search }] = first.calls;
    assert.equal(state, "tuned");
    assert.ok(measured !== undefined && search !== undefined);
    assert.ok(measured.seconds > 0 && measured.gain >= 1);
    assert.ok(search.tried > 0 && search.built > 1);
    assert.deepEqual(search.dropped, []);
    assert.match(said.join("\n"), /\[1\/1\] lm_head_logits .* tried, best/);

    const database = Database.read(file);
    assert.equal(database.entries.length, 1);
    assert.equal(database.machines.length, 1);

    const second = await tune(plan, tuning);
    assert.equal(second.calls[0].state, "known");
    // The share of the peak may change: the second run measures the machine again.
    const { gain, seconds, values } = measured;
    const again = second.calls[0].measured;
    assert.deepEqual(
      { gain: again?.gain, seconds: again?.seconds, values: again?.values },
      { gain, seconds, values },
    );

    // What compile takes need not be better for this: the values are made to differ from the defaults.
    const [entry] = database.entries;
    database.add({ ...entry, gain: 1.5, values: { ...entry.values, mc: 48 } });
    database.write(file);
    const compiled = await compile(loaded, { ...options, database: file });
    assert.match(compiled.notes[0], /^tuned values for 1 of \d+ kernels from .*; --no-tuned/);
    assert.equal(compiled.parameters?.tuned, 1);
    const logits = compiled.plan.calls.find(({ kernel }) => kernel.name === "lm_head_logits");
    assert.equal(logits?.values.mc, 48);
    assert.match(compiled.planText, /lm_head_logits .*mc 48/);
    const plain = await compile(loaded, { ...options, database: file, tuned: false });
    assert.deepEqual(plain.notes, []);
    assert.equal(plain.parameters, undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a run that is stopped says so and keeps the file whole", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pacac-test-" });
  try {
    const loaded = await loadSpec(inRepository("models/tiny.ts"));
    const { plan } = await compile(loaded, { ...OPTIONS, outDir: folder, tuned: false });
    const stop = new AbortController();
    const report = await tune(plan, {
      file: `${folder}/tuned.json`,
      seconds: 60,
      signal: stop.signal,
      onProgress: (text) => text.startsWith("[1/") && stop.abort(),
    });
    assert.equal(report.stopped, true);
    assert.ok(report.calls.every(({ state }) => state === "waiting"));
    assert.deepEqual(Database.read(`${folder}/tuned.json`).entries, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
