/**
 * A program for several instruction sets: built, loaded by the best of this processor, by a lesser one, and not by one it lacks.
 * @module
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { cpuInfo } from "../src/build/processor.ts";
import { compile } from "../src/compile.ts";
import { compileMulti } from "../src/compile_multi.ts";
import { adamw, architecture, embed, fineTune, linear, lmHead, paca, rmsNorm } from "../src/mod.ts";
import { isasOf, isasOfArchitecture } from "../src/targets/cpu/isas.ts";
import { type Batch, NativeEngine, type Trainer } from "../src/train/mod.ts";
import { inRepository } from "./support/paths.ts";

const HERE = isasOf(cpuInfo());

/** Few kernels, since all are built for each instruction set. */
const spec = fineTune({
  name: "multi-test",
  model: architecture((tokens) => {
    const x = embed("embed", tokens, { vocab: 40, width: 24 });
    return lmHead("head", linear("up", rmsNorm("norm", x, { eps: 1e-5 }), { out: 24 }), {
      vocab: 40,
    });
  }),
  adapt: paca({ rank: 4, alpha: 8, targets: ["up"], seed: 3 }),
  train: { batch: 2, seqLen: 9, optimizer: adamw({ learningRate: 1e-2 }) },
});
const loaded = { spec, path: inRepository("models/multi-test.ts") };
const common = { target: "cpu", threads: 2, tuned: false } as const;

interface Entry {
  readonly load: (
    options: { readonly init: { readonly seed: number }; readonly isa?: string },
  ) => Promise<Trainer>;
}

async function entry(dir: string): Promise<Entry> {
  return await import(pathToFileURL(`${dir}/trainer.ts`).href);
}

const ids = Int32Array.from({ length: 18 }, (_, i) => (i * 7) % 40);
const batch: Batch = { inputIds: ids, labels: ids, segmentIds: new Int32Array(18) };

/** The instruction set that was loaded, and losses of some steps. */
async function steps(
  { load }: Entry,
  isa?: string,
): Promise<{ isa: string; losses: readonly number[] }> {
  await using trainer = await load({ init: { seed: 1 }, ...(isa === undefined ? {} : { isa }) });
  const { engine } = trainer;
  assert.ok(engine instanceof NativeEngine);
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) losses.push((await trainer.step(batch)).loss);
  return { isa: engine.memory().isa, losses };
}

Deno.test("--isa multi: the best is loaded, another where it is named, and each computes as by itself", async () => {
  const folder = inRepository("generated/multi-test");
  try {
    const built = await compileMulti(loaded, { ...common, isa: "multi", outDir: folder });
    assert.deepEqual(built.variants, isasOfArchitecture(Deno.build.arch));
    assert.match(built.planText, new RegExp(`^ {2}${HERE[0]} +arena \\d+\\.\\d MB$`, "m"));
    const multi = await entry(folder);
    const best = await steps(multi);
    assert.equal(best.isa, HERE[0]);
    assert.ok(best.losses[2] < best.losses[0]);

    const plain = await steps(multi, "plain");
    assert.equal(plain.isa, "plain");
    const alone = `${folder}/alone`;
    await compile(loaded, { ...common, isa: "plain", outDir: alone });
    assert.deepEqual(plain, await steps(await entry(alone)));

    const lacking = isasOfArchitecture(Deno.build.arch).find((isa) => !HERE.includes(isa));
    if (lacking !== undefined) {
      await assert.rejects(steps(multi, lacking), {
        code: "load-failed",
        message: `Cannot load the program: this processor does not have ${lacking}`,
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("--isa multi is the cpu's alone", async () => {
  const outDir = inRepository("generated/multi-test-none");
  await assert.rejects(
    compileMulti(loaded, { ...common, target: "reference", isa: "multi", outDir }),
    { code: "usage", message: "Cannot compile for several instruction sets on reference" },
  );
});
