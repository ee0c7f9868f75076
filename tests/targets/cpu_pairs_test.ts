/**
 * Products of bf16 pairs for a processor that has the instruction: what the compiler makes of them, wherever it runs.
 * That they compute the right thing is tested where the instruction's arithmetic is made of others (cpu_ops_test.ts and its like).
 * @module
 */
import assert from "node:assert/strict";
import { compileAll } from "../../src/build/compile.ts";
import { Cache } from "../../src/build/cache.ts";
import { findToolchain, NATIVE } from "../../src/build/toolchain.ts";
import { renderKernels } from "../../src/emit/kernel_source.ts";
import { Renderer } from "../../src/emit/render.ts";
import { Graph } from "../../src/graph/graph.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import type { Isa } from "../../src/targets/target.ts";
import { CASES, type OpCase } from "../cases/mod.ts";
import { planFor } from "../support/cpu_engine.ts";
import { declareTrainerTensors, placeCase } from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";

const x86 = findToolchain().machine.startsWith("x86_64");

/** Of each op whose product takes pairs, one case. */
const PRODUCTS = [
  "linear",
  "paca_linear",
  "linear_backward_input",
  "paca_linear_backward_input",
  "lm_head_loss",
  "lm_head_logits",
];

/** A linear of one token is a matrix and a vector: another kernel. */
const manyTokens = ({ shapes }: OpCase) => shapes.x?.[0] !== 1;

const compiles = (isa: Isa) => ({
  name: `kernels with pairs of bf16 compile for ${isa.name}; only weights stored as bf16 take them`,
  ignore: !x86,
  fn: async () => {
    for (const storage of ["bf16", "f32"] as const) {
      const graph = new Graph("cases");
      declareTrainerTensors(graph);
      const cases = PRODUCTS.flatMap((op) =>
        CASES.filter(manyTokens).filter((c) => c.op === op && c.outputs.length === 0).slice(-1)
      );
      cases.forEach((c, i) => placeCase(graph, c, { i, storage }));
      const options = { spec: smallSpec(), vocabSize: 67, isa, threads: 2 };
      const { calls } = planFor(graph, options);
      const { sources } = renderKernels(calls, {
        isa,
        renderer: new Renderer(),
        target: "cpu",
      });
      const paired = sources.filter(({ source }) => source.includes("gemm_pairs.hpp"));
      assert.equal(paired.length, storage === "bf16" ? sources.length : 0);
      const { objects } = await compileAll(paired, { flags: isa.flags, cache: new Cache() });
      assert.equal(objects.length, paired.length);
    }
  },
});
Deno.test(compiles(ISAS.avx512_bf16));
Deno.test(compiles(ISAS.amx_bf16));

/** The default tile of avx512_bf16: 24 sums, a row of two vectors, unrolled four times. */
const TILE = `#include "cpu/gemm_pairs.hpp"
namespace pacac {
void probe(const float* x, const bf16* weight, float* y, const Worker& worker) {
  using Tile = Tiles<12, 2, 576, 24, 384, 4, 7, true>;
  product<Tile>(worker, 12, 32, 576, paired_rows_of<Tile, 12, 576>(x), TransposedPairs<576>{weight}, StoreRows<32, float>{y});
}
}
`;

Deno.test({
  name: "the micro-kernel's loop is dot products of registers, none of them spilled",
  ignore: !x86 || !findToolchain().version.startsWith("g++"),
  fn: async () => {
    const { compiler } = findToolchain();
    const flags = [
      "-std=c++20",
      "-O3",
      "-ffp-contract=off",
      `-I${NATIVE}`,
      ...ISAS.avx512_bf16.flags,
    ];
    const child = new Deno.Command(compiler, {
      args: [...flags, "-S", "-x", "c++", "-", "-o", "-"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(TILE));
    await writer.close();
    const { success, stdout } = await child.output();
    assert.ok(success);
    const loop = busiestLoop(new TextDecoder().decode(stdout));
    assert.equal(loop.filter((line) => line.includes("vdpbf16ps")).length, 24 * 4);
    assert.deepEqual(loop.filter((line) => /%r[sb]p/.test(line)), []);
  },
});

/** The lines from a label to the jump back to it, of the loop with the most dot products. */
function busiestLoop(assembly: string): string[] {
  const lines = assembly.split("\n");
  const loops = lines.flatMap((line, begin) => {
    const label = /^(\.L\d+):$/.exec(line)?.[1];
    if (label === undefined) return [];
    const after = lines.slice(begin + 1);
    const end = after.findIndex((other) => /^\.L\d+:$|^\tjn?[a-z]+\t/.test(other));
    return after[end]?.endsWith(`\t${label}`) ? [after.slice(0, end)] : [];
  });
  const dots = (loop: readonly string[]) =>
    loop.filter((line) => line.includes("vdpbf16ps")).length;
  return loops.toSorted((a, b) => dots(b) - dots(a))[0] ?? [];
}
