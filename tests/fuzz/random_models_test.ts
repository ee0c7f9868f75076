/**
 * Random small models: they compile, and the cpu target meets the reference on losses, gradients and a step.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { programInfo } from "../../src/emit/info.ts";
import { parse } from "../../src/graph/parse.ts";
import { print } from "../../src/graph/print.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { AdaptSpec } from "../../src/spec/description.ts";
import { ReferenceEngine } from "../../src/targets/reference/mod.ts";
import { drawColumns, drawNormals, type Engine } from "../../src/train/mod.ts";
import { seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { smallSpec } from "../support/small_model.ts";

const SEED = 20260101;
const LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const configs: fc.Arbitrary<LlamaConfig> = fc.record({
  kvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 3 }),
  half: fc.integer({ min: 1, max: 9 }),
  hiddenSize: fc.integer({ min: 5, max: 40 }),
  intermediateSize: fc.integer({ min: 5, max: 50 }),
  layers: fc.integer({ min: 1, max: 3 }),
  vocabSize: fc.integer({ min: 3, max: 90 }),
  tieWordEmbeddings: fc.boolean(),
  attentionBias: fc.boolean(),
  outputBias: fc.boolean(),
  mlpBias: fc.boolean(),
}).map(({ group, half, ...config }) => ({
  ...config,
  heads: config.kvHeads * group,
  headDim: 2 * half,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { type: "default" },
}));

const methods: fc.Arbitrary<AdaptSpec> = fc.oneof(
  fc.record({ method: fc.constant("full" as const), seed: fc.constant(0) }),
  fc.record({
    method: fc.constant("paca" as const),
    rank: fc.integer({ min: 1, max: 2 }),
    alpha: fc.constantFrom(1, 4),
    targets: fc.subarray(LINEARS, { minLength: 1 }),
    seed: fc.constant(0),
    parametrisation: fc.constant("delta" as const),
  }),
);

const models = fc.record({
  config: configs,
  adapt: methods,
  batch: fc.integer({ min: 1, max: 2 }),
  seqLen: fc.integer({ min: 2, max: 21 }),
  recompute: fc.constantFrom(0 as const, 1 as const, 2 as const),
});

Deno.test("random models: every graph prints, parses back and is the same", () => {
  const property = fc.property(models, (options) => {
    const text = print(runGraphPasses(smallSpec(options), llama(options.config)));
    assert.equal(print(parse(text)), text);
  });
  fc.assert(property, { seed: SEED, numRuns: 100 });
});

Deno.test("random models: cpu meets the reference", async () => {
  const property = fc.asyncProperty(models, async (options) => {
    const spec = smallSpec(options);
    const { vocabSize } = options.config;
    const graph = runGraphPasses(spec, llama(options.config));
    const info = programInfo(graph, {
      spec,
      target: "reference",
      arenaBytes: 0,
      vocabSize,
      source: "",
      config: {},
    });
    const reference = new ReferenceEngine(graph, info);
    const engine = await openPlan(planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 }));
    try {
      [reference, engine].forEach(fill);
      const batch = randomBatch(options.batch * options.seqLen, {
        vocabSize,
        seqLen: options.seqLen,
      });
      const [expected, found] = [
        await reference.gradients([batch]),
        await engine.gradients([batch]),
      ];
      assertClose([found.loss], [expected.loss], { tolerance: 1e-5, what: "loss" });
      const gradients = info.tensors.filter(({ name }) => name.endsWith(".grad"));
      const all = (of: Engine) => gradients.flatMap(({ name }) => [...of.read(name)]);
      assertClose(all(engine), all(reference), { tolerance: 2e-4, what: "gradients" });
    } finally {
      engine.dispose();
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 4, endOnFailure: true });
});

function fill(engine: Engine): void {
  for (const { name, shape, role } of engine.info.tensors) {
    const length = shape.reduce((a, b) => a * b, 1);
    const own = role === "weight" || (role === "parameter" && name !== "parameters");
    if (own && !name.endsWith("paca_delta")) {
      const near = name.includes("norm") ? 1 : 0; // norm weights lie around 1
      const drawn = drawNormals(3, name, { length, deviation: 0.3 });
      engine.write(name, drawn.map((value) => near + value));
    }
  }
  for (const { module, indices, delta, inFeatures, outFeatures } of engine.info.adapted) {
    const { rank } = engine.info;
    engine.write(indices, drawColumns(0, module, { inFeatures, rank }));
    engine.write(delta, drawNormals(5, module, { length: outFeatures * rank, deviation: 0.1 }));
  }
}

function randomBatch(size: number, { vocabSize, seqLen }: { vocabSize: number; seqLen: number }) {
  const random = seeded(size);
  const inputIds = Int32Array.from({ length: size }, () => random() * vocabSize);
  const segmentIds = Int32Array.from(
    { length: size },
    (_, i) => i % seqLen > 9 ? -1 : i % seqLen > 4 ? 1 : 0,
  );
  return { inputIds, labels: inputIds.slice(), segmentIds };
}
