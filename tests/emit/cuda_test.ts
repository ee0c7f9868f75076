/**
 * A cuda program from its plan to an addon and a standalone program, as far as there is no GPU: generated sources, nvcc, loading.
 * @module
 */
import assert from "node:assert/strict";
import { buildAddon, Cache, compileAll, findNvcc, loadAddon } from "../../src/build/mod.ts";
import { standaloneFiles } from "../../src/build/standalone.ts";
import { runCompiler } from "../../src/build/compiler.ts";
import { buildLine, emitProgram, Renderer } from "../../src/emit/mod.ts";
import { renderKernels } from "../../src/emit/kernel_source.ts";
import { PHASES, played, scheduleOf } from "../../src/emit/schedule_data.ts";
import { tensorTable } from "../../src/emit/tensor_table.ts";
import { must, PacacError } from "../../src/errors.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import { cudaTargetOn } from "../../src/targets/cuda/mod.ts";
import type { Plan } from "../../src/targets/plan.ts";
import { NativeEngine } from "../../src/train/native_engine.ts";
import { cudaPlan } from "../support/cuda_engine.ts";
import { assertGolden } from "../support/golden_file.ts";
import { cudaTest } from "../support/nvcc.ts";
import { smallSpec, TINY } from "../support/small_model.ts";

/** All linears are of one shape and all are adapted: few kernels, so that nvcc is soon done. */
const SQUARE: LlamaConfig = {
  ...TINY,
  hiddenSize: 64,
  intermediateSize: 64,
  layers: 2,
  heads: 2,
  kvHeads: 2,
  headDim: 32,
  vocabSize: 64,
};

function squarePlan(): Plan {
  const spec = smallSpec({
    config: SQUARE,
    storage: "bf16",
    batch: 2,
    seqLen: 32,
    adapt: {
      method: "paca",
      rank: 8,
      alpha: 16,
      targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
      seed: 0,
      parametrisation: "delta",
    },
  });
  const graph = runGraphPasses(spec, llama(SQUARE), () => {}, { passing: "bf16" });
  return cudaPlan(graph, { spec, vocabSize: SQUARE.vocabSize });
}

const plan = squarePlan();
const emitted = emitProgram(plan, { standalone: true, memo: new Cache() });
const main = must(emitted.main, "main.cpp");

/** Golden file -> what the source's path or first line begins with. */
const GOLDEN: Readonly<Record<string, string>> = {
  "linear.cu": "// paca_linear + add: ",
  "linear_backward_weight.cu": "// paca_linear_backward_delta: ",
  "rms_norm.cu": "// rms_norm: ",
  "adamw.cu": "// adamw: ",
  "schedule.cpp": "schedule.cpp",
  "program.cpp": "program.cpp",
};

for (const [name, mark] of Object.entries(GOLDEN)) {
  Deno.test(`generated cuda/${name} is as its golden file says`, () => {
    const found = emitted.sources.find(({ file, source }) =>
      file === mark || source.startsWith(mark)
    );
    assert.ok(found !== undefined, `no source is ${mark}`);
    assertGolden(new URL(`../golden/generated/cuda/${name}`, import.meta.url), found.source);
  });
}

Deno.test("every cuda kernel's head says shapes, operations, bytes and what bounds it", () => {
  const kernels = emitted.sources.filter(({ file }) => file.startsWith("kernels/"));
  assert.ok(kernels.length > 15);
  for (const { file, source } of kernels) {
    assert.match(file, /\.cu$/);
    const head = source.slice(0, source.indexOf("#include"));
    assert.match(head, /^\/\/ \w+.*: .*\[\d+(?:, \d+)*\].* -> /s, file);
    assert.match(head, /FLOP/, file);
    assert.match(head, /\d B|[kKMG]i?B/, file);
  }
});

Deno.test("the emitted schedule, played, is the plan's calls in their order", () => {
  const { isa } = plan.target;
  const options = { isa, renderer: new Renderer(), target: "cuda", memo: new Cache() };
  const { symbolOf } = renderKernels(plan.calls, options);
  const table = tensorTable(plan);
  const schedule = scheduleOf(plan, { table, symbolOf });
  assert.ok(schedule.functions.length > 0, "layers were found");
  for (const phase of PHASES) {
    const wanted = plan.calls.filter((call) => call.phase === phase).map((planned) => ({
      symbol: symbolOf.get(planned),
      tensors: planned.call.operands.map(({ tensor }) => tensor.name),
    }));
    const own = [...played(schedule, phase)].map(({ symbol, tensors }) => ({
      symbol,
      tensors: tensors.map((row) => table.rows[row].tensor.name),
    }));
    assert.deepEqual(own, wanted, phase);
  }
});

Deno.test("a standalone program's folder has every file that its sources include", () => {
  const files = standaloneFiles([main, ...emitted.sources]);
  const names = new Set(files.map(({ file }) => file));
  for (const { file, source } of files) {
    for (const [, name] of source.matchAll(/^[ \t]*#include "([^"]+)"/gm)) {
      assert.ok(names.has(`include/${name}`), `${file} includes ${name}`);
    }
  }
  const line = buildLine(plan.target.isa.flags);
  assert.ok(main.source.includes(`//   ${line}\n`), "main.cpp's head has the line in one piece");
  for (const word of line.split(" ").filter((word) => /^\w.*\.(?:cpp|cu)$/.test(word))) {
    const pattern = new RegExp(`^${word.replaceAll(".", "\\.").replace("*", "\\w+")}$`);
    assert.ok(files.some(({ file }) => pattern.test(file)), word);
  }
});

cudaTest(
  "cuda: the addon is built, loads without a driver, and says that there is no device",
  async () => {
    const toolchain = findNvcc();
    const folder = await Deno.makeTempDir({ prefix: "pacac-cuda-" });
    try {
      const { flags } = plan.target.isa;
      const { path } = await buildAddon(emitted.sources, { flags, toolchain, folder });
      const module = await loadAddon(path, { make: false });
      assert.throws(() => new NativeEngine(module, { info: plan.info }), (error: unknown) => {
        assert.ok(error instanceof PacacError);
        assert.equal(error.code, "load-failed");
        assert.match(error.message, /^Cannot start the program: no CUDA device \(/);
        assert.match(error.remedy, /NVIDIA GPU/);
        return true;
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

cudaTest("cuda: the standalone program is built and ends with 2 and 3", async () => {
  const toolchain = findNvcc();
  const folder = await Deno.makeTempDir({ prefix: "pacac-cuda-" });
  try {
    const files = standaloneFiles([main, ...emitted.sources]);
    const sources = files.filter(({ file }) => /\.(?:cpp|cu)$/.test(file));
    const { flags } = plan.target.isa;
    const { objects } = await compileAll(sources, { flags, toolchain });
    const path = `${folder}/check`;
    await runCompiler(toolchain, {
      args: [...objects, "-o", path],
      file: "check",
      signal: undefined,
    });
    const run = async (...args: string[]) => {
      const { code, stderr } = await new Deno.Command(path, { args, cwd: folder }).output();
      return { code, stderr: new TextDecoder().decode(stderr) };
    };
    const none = await run();
    assert.equal(none.code, 2);
    assert.match(none.stderr, /Cannot read "reference\.bin"/);
    await Deno.writeTextFile(`${folder}/reference.bin`, referenceOf(plan));
    const { code, stderr } = await run("reference.bin");
    assert.match(stderr, /^error: no CUDA device \(/);
    assert.equal(code, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A file that has the program's weights, of no use otherwise. */
function referenceOf({ graph }: Plan): string {
  const weights = graph.tensors.filter(({ role }) => role === "weight");
  const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const lines = weights.map(({ name, shape }) => `entry F32 ${count(shape)} 0 ${name}`);
  const most = Math.max(...weights.map(({ shape }) => count(shape)));
  const set = ["set steps 1", "set micro_batches 1"];
  return ["pacac-reference 1", ...set, ...lines, "end", " ".repeat(4 * most)].join("\n");
}

cudaTest("cuda: named GPUs get code of their own architecture", async () => {
  const target = cudaTargetOn("sm_90");
  assert.deepEqual(target.isa.flags, ["-arch=sm_90"]);
  const renderer = new Renderer();
  const calls = plan.calls.filter(({ kernel }) => kernel.name === "linear").slice(0, 1);
  const { sources } = renderKernels(calls, { isa: target.isa, renderer, target: "cuda" });
  const { objects } = await compileAll(sources, {
    flags: target.isa.flags,
    toolchain: findNvcc(),
  });
  const text = new TextDecoder("latin1").decode(await Deno.readFile(objects[0]));
  assert.match(text, /sm_90/);
});
