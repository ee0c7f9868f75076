/**
 * Builds the GPU engine over a stand-in of CUDA's runtime, with a program small enough to compute in the head.
 * @module
 */
import assert from "node:assert/strict";
import { Cache, keyOf } from "../../src/build/cache.ts";
import { Headers } from "../../src/build/headers.ts";
import { NATIVE } from "../../src/build/toolchain.ts";
import { NVCC } from "./nvcc.ts";
import { inRepository } from "./paths.ts";

const built = new Map<string, Promise<string>>();

/**
 * The program of tests/native/engine_check.cpp, built once and kept by its sources.
 * @param without A line of the engine that has this is left out: a planted fault
 */
export function engineCheck(without = ""): Promise<string> {
  const promise = built.get(without) ?? build(without);
  built.set(without, promise);
  return promise;
}

async function build(without: string): Promise<string> {
  const own = (name: string) => inRepository(`tests/native/${name}`);
  const engine = planted(Deno.readTextFileSync(`${NATIVE}/cuda/runtime/engine.cpp`), without);
  const others = [
    ...[own("engine_check.cpp"), own("fake_cudart.cpp")],
    `${NATIVE}/runtime/allocations.cpp`,
  ];
  const headers = new Headers();
  const texts = others.map((path) => headers.hash(Deno.readTextFileSync(path)));
  const fake = Deno.readTextFileSync(own("fake_cudart.hpp"));
  const cache = new Cache();
  const key = keyOf("engine_check", NVCC ?? "", fake, headers.hash(engine), ...texts);
  const entry = cache.path(key, ".out");
  if (cache.has(entry)) return entry;
  const temporary = cache.temporary(entry);
  const source = `${temporary}.cpp`;
  Deno.writeTextFileSync(source, engine);
  const { success, stderr } = await new Deno.Command("nvcc", {
    args: [
      // No runtime is linked: the stand-in has its names.
      ...["-cudart", "none", "-std=c++20", "-Xcompiler", "-Wall,-Wextra,-Werror"],
      ...[`-I${NATIVE}`, `-I${inRepository("tests/native")}`, source, ...others, "-o", temporary],
    ],
  }).output();
  Deno.removeSync(source);
  assert.ok(success, new TextDecoder().decode(stderr));
  cache.publish(temporary, entry);
  return entry;
}

function planted(engine: string, without: string): string {
  if (without === "") return engine;
  const lines = engine.split("\n");
  const kept = lines.filter((line) => !line.includes(without));
  assert.equal(lines.length - kept.length, 1, `one line of the engine has ${without}`);
  return kept.join("\n");
}
