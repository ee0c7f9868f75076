/**
 * Random small models: they compile, and the cpu target meets the reference on losses, gradients and a step.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { programInfo } from "../../src/emit/info.ts";
import { PacacError } from "../../src/errors.ts";
import { bytesOf } from "../../src/graph/graph.ts";
import { parse } from "../../src/graph/parse.ts";
import { print } from "../../src/graph/print.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { keptActivations } from "../../src/passes/storage.ts";
import { llama, type LlamaConfig } from "../../src/spec/families/llama.ts";
import type { AdaptSpec } from "../../src/spec/description.ts";
import { ReferenceEngine } from "../../src/targets/reference/mod.ts";
import { drawColumns, drawNormals, type Engine } from "../../src/train/mod.ts";
import { seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { type SmallOptions, smallSpec } from "../support/small_model.ts";

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
    const { graph, reference } = referenceOf(options);
    const engine = await openPlan(planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 }));
    try {
      const [expected, found] = [await gradientsOf(reference), await gradientsOf(engine)];
      assertClose([found.loss], [expected.loss], { tolerance: 1e-5, what: "loss" });
      assertClose(found.gradients, expected.gradients, { tolerance: 2e-4, what: "gradients" });
    } finally {
      engine.dispose();
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 4, endOnFailure: true });
});

Deno.test("random models: gradients are the same whatever is kept", async () => {
  const property = fc.asyncProperty(models, fc.constantFrom(0.8, 0.5), async (options, share) => {
    const all = referenceOf(options);
    const bytes = [...keptActivations(all.graph)].reduce((sum, x) => sum + bytesOf(x), 0);
    const maxKeptBytes = Math.max(1, Math.floor(bytes * share));
    const part = referenceWithin({ ...options, maxKeptBytes });
    if (part === undefined) return; // what layers hand on alone is more
    assert.deepEqual(part.reference.info.adapted, all.reference.info.adapted);
    const [expected, found] = [await gradientsOf(all.reference), await gradientsOf(part.reference)];
    assertClose(found.gradients, expected.gradients, { tolerance: 1e-12, what: "gradients" });
  });
  await fc.assert(property, { seed: SEED, numRuns: 20, endOnFailure: true });
});

function referenceWithin(options: SmallOptions & { readonly config: LlamaConfig }) {
  try {
    return referenceOf(options);
  } catch (error) {
    if (error instanceof PacacError && error.code === "spec-value") return undefined;
    throw error;
  }
}

function referenceOf(options: SmallOptions & { readonly config: LlamaConfig }) {
  const spec = smallSpec(options);
  const { vocabSize } = options.config;
  const graph = runGraphPasses(spec, llama(options.config));
  const info = programInfo(graph, {
    ...{ spec, vocabSize, target: "reference" as const, arenaBytes: 0, source: "", config: {} },
  });
  return { graph, reference: new ReferenceEngine(graph, info) };
}

/** Loss and all gradients on a batch that follows from the engine's shape. */
async function gradientsOf(engine: Engine): Promise<{ loss: number; gradients: number[] }> {
  fill(engine);
  const { batch, seqLen, vocabSize, tensors } = engine.info;
  const { loss } = await engine.gradients([randomBatch(batch * seqLen, { vocabSize, seqLen })]);
  const names = tensors.map(({ name }) => name).filter((name) => name.endsWith(".grad"));
  return { loss, gradients: names.flatMap((name) => [...engine.read(name)]) };
}

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
