/**
 * The build: what is cached, what is rebuilt, what its errors say.
 * @module
 */
import assert from "node:assert/strict";
import { Cache, keyOf } from "../../src/build/cache.ts";
import { buildExecutable, compileAll } from "../../src/build/compile.ts";
import { Headers } from "../../src/build/headers.ts";
import { machineOf } from "../../src/build/machine.ts";
import { processorName } from "../../src/build/processor.ts";
import { probeAddon } from "../../src/build/probe.ts";
import { findToolchain } from "../../src/build/toolchain.ts";
import { must, PacacError } from "../../src/errors.ts";
import { openAddon } from "../../src/train/native_engine.ts";
import { PLAIN } from "../emit/fixture.ts";

async function withFolder(body: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "pacac-build-" });
  try {
    await body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function leftovers(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap((entry) =>
    entry.isDirectory
      ? leftovers(`${folder}/${entry.name}`)
      : /\.(part|cpp|list|map)/.test(entry.name)
      ? [entry.name]
      : []
  );
}

const source = (file: string, text: string) => ({ file, source: text });

Deno.test("compileAll() compiles what changed and nothing else", () =>
  withFolder(async (folder) => {
    const cache = new Cache(folder);
    const files: string[] = [];
    const options = {
      flags: [],
      cache,
      onProgress: ({ file }: { file: string }) => files.push(file),
    };
    const a = source("a.cpp", "int a() { return 1; }\n");
    const b = source("b.cpp", "int b() { return 2; }\n");
    assert.equal((await compileAll([a, b], options)).compiled, 2);
    assert.equal((await compileAll([a, b], options)).compiled, 0);
    const changed = source("b.cpp", "int b() { return 3; }\n");
    const { compiled, objects } = await compileAll([a, changed], options);
    assert.equal(compiled, 1);
    assert.deepEqual(files.sort(), ["a.cpp", "b.cpp", "b.cpp"]);
    assert.equal(new Set(objects).size, 2);
    assert.equal(
      (await compileAll([a], { ...options, flags: ["-O1"] })).compiled,
      1,
      "flags count",
    );
    assert.deepEqual(leftovers(folder), []);
  }));

Deno.test("Headers.hash() follows includes, and only pacac's own", () =>
  withFolder((folder) => {
    const write = (name: string, text: string) => Deno.writeTextFileSync(`${folder}/${name}`, text);
    const text = '#include "one.hpp"\n#include <vector>\n#include "not_there.hpp"\n';
    const hash = () => new Headers(folder).hash(text);
    write("one.hpp", '#pragma once\n  #  include "two.hpp"\n');
    write("two.hpp", '#pragma once\n#include "one.hpp"\n');
    write("three.hpp", "");
    const first = hash();
    write("three.hpp", "int x;");
    assert.equal(hash(), first, "a header that is not reached");
    write("two.hpp", '#pragma once\n#include "one.hpp"\nint y;\n');
    assert.notEqual(hash(), first, "a header's header");
  }));

Deno.test("a build error names file and line and keeps the cache clean", () =>
  withFolder(async (folder) => {
    const bad = source("kernels/bad.cpp", "int fine;\nint broken = missing;\n");
    await assert.rejects(compileAll([bad], { flags: [], cache: new Cache(folder) }), (error) => {
      assert.ok(error instanceof PacacError);
      assert.equal(error.code, "build-failed");
      assert.deepEqual({ ...error.place }, { file: "kernels/bad.cpp", line: 2, column: 14 });
      assert.match(error.message, /missing/);
      return true;
    });
    assert.deepEqual(leftovers(folder), []);
  }));

Deno.test("compileAll() stops on a signal", () =>
  withFolder(async (folder) => {
    const stop = new AbortController();
    const slow = source("slow.cpp", '#include <regex>\n#include <string>\nstd::regex r("a");\n');
    const building = compileAll([slow], {
      flags: [],
      cache: new Cache(folder),
      signal: stop.signal,
    });
    stop.abort();
    await assert.rejects(building, { name: "AbortError" });
    assert.deepEqual(leftovers(folder), []);
  }));

Deno.test("Cache.text() makes a text once and again where its seal is broken", () =>
  withFolder((folder) => {
    const cache = new Cache(folder);
    let made = 0;
    const get = () => cache.text("key", () => `text ${++made}`);
    assert.equal(get(), "text 1");
    assert.equal(get(), "text 1");
    const [path] = [...Deno.readDirSync(folder)].flatMap(({ name }) =>
      [...Deno.readDirSync(`${folder}/${name}`)].map((file) => `${folder}/${name}/${file.name}`)
    );
    Deno.truncateSync(path, 10);
    assert.equal(get(), "text 2");
    assert.notEqual(keyOf("a", "bc"), keyOf("ab", "c"));
  }));

Deno.test("a cache folder that cannot be made is an io error", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/file`, "");
    const cache = new Cache(`${folder}/file`);
    const building = compileAll([source("a.cpp", "int a;\n")], { flags: [], cache });
    await assert.rejects(building, (error) => error instanceof PacacError && error.code === "io");
  }));

Deno.test("probeAddon() survives an addon that crashes, and openAddon() one that is none", () =>
  withFolder(async (folder) => {
    const cache = new Cache(`${folder}/cache`);
    const library = async (name: string, text: string) => {
      const { objects } = await compileAll([source(`${name}.cpp`, text)], { flags: [], cache });
      const path = `${folder}/${name}.node`;
      const args = ["-shared", ...objects, "-o", path];
      assert.ok((await new Deno.Command(findToolchain().compiler, { args }).output()).success);
      return path;
    };
    const failed = (error: unknown) => error instanceof PacacError && error.code === "load-failed";
    for (const signal of ["SIGSEGV", "SIGILL"]) {
      const start = `__attribute__((constructor)) void start() { std::raise(${signal}); }`;
      const crash = await library(signal, `#include <csignal>\n${start}\n`);
      await assert.rejects(probeAddon(crash, { cache }), (error) => {
        assert.match(String(error), new RegExp(signal));
        return failed(error);
      });
    }
    const text = `${folder}/text.node`;
    Deno.writeTextFileSync(text, "no library");
    await assert.rejects(probeAddon(text, { cache }), failed);
    assert.throws(() => openAddon(text), failed);
  }));

Deno.test("a missing compiler is an error with the way out", async () => {
  const child = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { findToolchain } from ${
        JSON.stringify(new URL("../../src/build/toolchain.ts", import.meta.url).href)
      };
       try { findToolchain(); } catch (error) { console.log(error.code, error.remedy); }`,
    ],
    env: { CXX: "no-such-compiler" },
  }).output();
  const text = new TextDecoder().decode(child.stdout);
  assert.match(text, /^toolchain-missing install one \(.*\), or name another with CXX/);
});

Deno.test("buildExecutable() builds once", () =>
  withFolder(async (folder) => {
    const options = { flags: [], cache: new Cache(folder) };
    const main = source("main.cpp", "int main() { return 7; }\n");
    const path = await buildExecutable(main, options);
    const { mtime } = Deno.statSync(path);
    assert.equal(await buildExecutable(main, options), path);
    assert.deepEqual(Deno.statSync(path).mtime, mtime);
    assert.equal((await new Deno.Command(path).output()).code, 7);
  }));

Deno.test("machineOf() measures once and remembers", () =>
  withFolder(async (folder) => {
    const cache = new Cache(folder);
    const first = await machineOf(PLAIN, { threads: 1, cache });
    assert.equal(first.processor, processorName());
    assert.ok(first.measured);
    assert.ok(first.flopsPerSecond > 1e8 && first.flopsPerSecond < 1e14);
    assert.ok(first.bytesPerSecond > 1e8 && first.bytesPerSecond < 1e13);
    assert.deepEqual(await machineOf(PLAIN, { threads: 1, cache }), first);
  }));

Deno.test("machineOf() remembers the highest rates, and says what is measured now", () =>
  withFolder(async (folder) => {
    const cache = new Cache(folder);
    await machineOf(PLAIN, { threads: 1, cache });
    const files = [...Deno.readDirSync(folder)].flatMap(({ name }) =>
      [...Deno.readDirSync(`${folder}/${name}`)].map((file) => `${folder}/${name}/${file.name}`)
    );
    const remembered = must(files.find((file) => file.endsWith(".json")), "what is remembered");
    Deno.writeTextFileSync(remembered, '{"flopsPerSecond":1e18,"bytesPerSecond":1}');
    const now = await machineOf(PLAIN, { threads: 1, cache, fresh: true });
    assert.ok(now.flopsPerSecond < 1e14);
    const { flopsPerSecond, bytesPerSecond } = await machineOf(PLAIN, { threads: 1, cache });
    assert.equal(flopsPerSecond, 1e18);
    assert.equal(bytesPerSecond, now.bytesPerSecond);
  }));
