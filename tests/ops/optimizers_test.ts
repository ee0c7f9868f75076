/**
 * The optimisers' references against steps worked by hand, and their programs against each other.
 * @module
 */
import assert from "node:assert/strict";
import { lion as lionSpec, sgd as sgdSpec } from "../../src/mod.ts";
import { adamw } from "../../src/ops/adamw.ts";
import { lion } from "../../src/ops/lion.ts";
import type { Op } from "../../src/ops/op.ts";
import { sgd } from "../../src/ops/sgd.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { programInfo } from "../../src/emit/info.ts";
import { llama } from "../../src/spec/families/llama.ts";
import type { OptimizerSpec } from "../../src/spec/description.ts";
import { ReferenceEngine } from "../../src/targets/reference/mod.ts";
import { drawNormals, type Engine, loadTrainer, type Trainer } from "../../src/train/mod.ts";
import { relativeError } from "../support/compare.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { smallSpec, TINY } from "../support/small_model.ts";

/** A step of two parameters: learning rate 0.5, decay 0.25, and clipping to half of the gradient. */
function stepOf(
  op: Op,
  attributes: Record<string, number | boolean>,
  { anchor, hyper = [0.5, 0.25, 1, 1, 1], moment = [-0.125, 0.5] }: {
    anchor?: number[];
    hyper?: number[];
    moment?: number[];
  } = {},
): { p: number[]; m: number[] } {
  const inputs = {
    parameters: Float64Array.of(1, -2),
    gradients: Float64Array.of(0.5, -4),
    moment1: Float64Array.from(moment),
    moment2: Float64Array.of(0.25, 1),
    norm: Float64Array.of(2 - 1e-6),
    hyper: Float64Array.from(hyper),
    ...(anchor === undefined ? {} : { anchor: Float64Array.from(anchor) }),
  };
  const outputs = Object.fromEntries(
    op.outputs.map(({ name }) => [name, new Float64Array(2)]),
  );
  op.reference(inputs, outputs, attributes, { P: 2 });
  return { p: [...outputs.new_parameters], m: [...outputs.new_moment1] };
}

const close = (found: readonly number[], expected: readonly number[]) =>
  found.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) <= 1e-9, `${found} in place of ${expected}`)
  );

Deno.test("lion steps as worked by hand", () => {
  // g = (0.25, -2); c = 0.5 m + 0.5 g = (0.0625, -0.75); signs 1, -1; decay 0.125 of (1, -2)
  const { p, m } = stepOf(lion, { beta1: 0.5, beta2: 0.75 });
  close(p, [1 - 0.125 - 0.5, -2 + 0.25 + 0.5]);
  close(m, [0.75 * -0.125 + 0.25 * 0.25, 0.75 * 0.5 - 0.25 * 2]);
  // decay pulls to the anchor: 0.125 of (1 - 3, -2 + 2)
  close(stepOf(lion, { beta1: 0.5, beta2: 0.75 }, { anchor: [3, -2] }).p, [1 + 0.25 - 0.5, -1.5]);
  // c = 0.5 · -0.25 + 0.5 · 0.25 = 0 moves nothing
  const level = stepOf(lion, { beta1: 0.5, beta2: 0 }, { moment: [-0.25, 0.5] });
  close(level.p, [0.875, -1.25]);
});

Deno.test("sgd steps as worked by hand", () => {
  // g = (0.25, -2); m = 0.5 m + g = (0.1875, -1.75)
  const plain = stepOf(sgd, { momentum: 0.5, nesterov: false });
  close(plain.m, [0.1875, -1.75]);
  close(plain.p, [0.875 - 0.09375, -1.75 + 0.875]);
  // g + 0.5 m = (0.34375, -2.875)
  const ahead = stepOf(sgd, { momentum: 0.5, nesterov: true });
  close(ahead.m, plain.m);
  close(ahead.p, [0.875 - 0.171875, -1.75 + 1.4375]);
  // without clipping and momentum: p - 0.5 g
  const hyper = [0.5, 0, 0, 1, 1];
  close(stepOf(sgd, { momentum: 0, nesterov: false }, { hyper }).p, [0.75, 0]);
});

Deno.test("adamw steps as worked by hand", () => {
  // g = (0.25, -2); m = 0.5 m + 0.5 g = (0.0625, -0.75); v = 0.75 v + 0.25 g² = (0.203125, 1.75); bc = (0.5, 0.25)
  const hyper = [0.5, 0.25, 1, 0.5, 0.25];
  const { p, m } = stepOf(adamw, { beta1: 0.5, beta2: 0.75, epsilon: 1e-8 }, { hyper });
  close(m, [0.0625, -0.75]);
  const moved = [0.125 / Math.sqrt(0.8125), -1.5 / Math.sqrt(7)].map((x) => 0.5 * x);
  assert.ok(p.every((x, i) => Math.abs(x - ([0.875, -1.75][i] - moved[i])) < 1e-7));
});

const BATCH = {
  inputIds: Int32Array.of(1, 2, 3, 4, 5, 6),
  labels: Int32Array.of(1, 2, 3, 4, 5, 6),
  segmentIds: new Int32Array(6),
};

async function trained(optimizer: OptimizerSpec, native: boolean): Promise<Trainer> {
  const spec = smallSpec({ optimizer, batch: 2, adapt: { method: "full", seed: 0 } });
  const graph = runGraphPasses(spec, llama(TINY));
  const { vocabSize } = TINY;
  const given = { spec, vocabSize, arenaBytes: 0, source: "", config: {} };
  const engine: Engine = native
    ? await openPlan(planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 }))
    : new ReferenceEngine(graph, programInfo(graph, { ...given, target: "reference" }));
  const trainer = await loadTrainer(engine, { init: { seed: 3 } });
  engine.write(
    "model.embed_tokens.weight",
    drawNormals(1, "embed", { length: vocabSize * TINY.hiddenSize, deviation: 1 }),
  );
  for (let step = 0; step < 20; step++) await trainer.step(BATCH);
  return trainer;
}

for (
  const optimizer of [
    lionSpec({ learningRate: 1e-2, weightDecay: 0.1 }),
    sgdSpec({ learningRate: 5e-2, nesterov: true }),
  ]
) {
  const { kind } = optimizer;
  Deno.test(`cpu ${HERE[0]}: ${kind} trains as the reference, and a resumed run has its bits`, async () => {
    await using native = await trained(optimizer, true);
    await using reference = await trained(optimizer, false);
    const names = native.info.tensors.map(({ name }) => name);
    assert.ok(names.includes("moment1") && !names.includes("moment2"));
    const { loss: before } = await (await trained({ ...optimizer, learningRate: 1e-12 }, false))
      .evaluate(BATCH);
    const { loss } = await native.evaluate(BATCH);
    assert.ok(loss < before - 0.1, `${loss} is not below ${before}`);
    const error = relativeError(
      native.engine.read("parameters"),
      reference.engine.read("parameters"),
    );
    // Lion's sign turns where a gradient is nearly 0: two steps' size then, of one parameter.
    assert.ok(error <= (kind === "lion" ? 5e-2 : 1e-4), `relative error ${error}`);
    const dir = await Deno.makeTempDir({ prefix: "pacac_optimizer_" });
    try {
      await native.saveCheckpoint(dir);
      await using other = await trained(optimizer, true);
      await other.step(BATCH);
      await other.loadCheckpoint(dir);
      for (const trainer of [native, other]) await trainer.step(BATCH);
      for (const name of ["parameters", "moment1"]) {
        assert.deepEqual(other.engine.read(name), native.engine.read(name), name);
        assert.ok(native.engine.read(name).some((value) => value !== 0), name);
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
