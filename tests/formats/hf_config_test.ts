/**
 * Hugging Face configs: the golden ones, both spellings of rope, and everything that is refused.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { PacacError } from "../../src/errors.ts";
import { checkWindow, parseConfig, readConfig } from "../../src/formats/mod.ts";
import { assertFails, TempFolder } from "./support.ts";

const golden = (name: string) => new URL(`../golden/${name}/config.json`, import.meta.url).pathname;
const file = "config.json";
const parse = (json: unknown) => parseConfig(json, { file });

const BASE = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 100,
};

Deno.test("the golden configs", () => {
  assert.deepEqual(readConfig(golden("llama_tied")), {
    modelType: "llama",
    hiddenSize: 48,
    intermediateSize: 88,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 12,
    vocabSize: 131,
    rmsNormEps: 1e-5,
    hiddenAct: "silu",
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 256,
    bosTokenId: 1,
    eosTokenIds: [2],
    attentionBias: false,
    outputBias: false,
    mlpBias: false,
    slidingWindow: undefined,
    ropeTheta: 10000,
    ropeScaling: { type: "default" },
  });
  const rope = readConfig(golden("llama3_rope"));
  assert.deepEqual([rope.headDim, rope.tieWordEmbeddings, rope.ropeTheta], [32, false, 500000]);
  assert.deepEqual(rope.ropeScaling, {
    type: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 32,
  });
});

Deno.test("absent fields have transformers' defaults", () => {
  const config = parse(BASE);
  assert.deepEqual([config.kvHeads, config.headDim, config.ropeTheta], [4, 16, 10000]);
  assert.deepEqual([config.rmsNormEps, config.tieWordEmbeddings], [1e-6, false]);
  assert.deepEqual([config.bosTokenId, config.eosTokenIds], [undefined, []]);
  const nulls = { head_dim: null, rope_scaling: null, num_key_value_heads: null };
  assert.deepEqual(parse({ ...BASE, ...nulls, quantization_config: null }), config);
  assert.deepEqual(parse({ ...BASE, eos_token_id: [5, 6] }).eosTokenIds, [5, 6]);
});

Deno.test("old and new spellings of rope agree", () => {
  const llama3 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const fresh = parse({
    ...BASE,
    rope_parameters: { rope_theta: 5e5, rope_type: "llama3", ...llama3 },
  });
  const old = parse({ ...BASE, rope_theta: 5e5, rope_scaling: { type: "llama3", ...llama3 } });
  assert.deepEqual(old, fresh);
  const linear = parse({
    ...BASE,
    rope_theta: 1e4,
    rope_scaling: { rope_type: "linear", factor: 2 },
  });
  assert.deepEqual(linear.ropeScaling, { type: "linear", factor: 2 });
});

Deno.test("mistral and qwen2 are llamas with other biases; windows are checked", () => {
  const qwen = parse({ ...BASE, model_type: "qwen2", sliding_window: 32, mlp_bias: true });
  assert.deepEqual([qwen.attentionBias, qwen.outputBias, qwen.mlpBias], [true, false, false]);
  assert.equal(qwen.slidingWindow, undefined);
  const mistral = parse({ ...BASE, model_type: "mistral", sliding_window: 32 });
  assert.deepEqual([mistral.attentionBias, mistral.slidingWindow], [false, 32]);
  checkWindow(mistral, { seqLen: 32, file });
  checkWindow(qwen, { seqLen: 1000, file });
  assertFails(() => checkWindow(mistral, { seqLen: 33, file }), "config-invalid", "seqLen to 32");
  const biased = parse({ ...BASE, attention_bias: true, mlp_bias: true });
  assert.deepEqual([biased.attentionBias, biased.outputBias, biased.mlpBias], [true, true, true]);
});

const WRONG: [string, object, string][] = [
  ["hidden_size", { hidden_size: undefined }, "(hidden_size)"],
  ["text", { vocab_size: "100" }, "(vocab_size)"],
  ["zero", { num_hidden_layers: 0 }, "(num_hidden_layers)"],
  ["fraction", { intermediate_size: 1.5 }, "(intermediate_size)"],
  ["too large", { vocab_size: 2 ** 40 }, "(vocab_size)"],
  ["heads", { num_attention_heads: 5 }, "64 is not a multiple of 5 heads"],
  ["groups", { num_key_value_heads: 3 }, "(num_key_value_heads)"],
  ["odd", { head_dim: 7 }, "(head_dim)"],
  ["eps", { rms_norm_eps: 0 }, "(rms_norm_eps)"],
  ["activation", { hidden_act: "gelu" }, "only silu is built"],
  ["rope", { rope_scaling: { type: "yarn", factor: 2 } }, "default, linear and llama3 are built"],
  ["factor", { rope_scaling: { type: "linear" } }, "(rope_scaling.factor)"],
  ["field", { rope_parameters: { factor: "2" } }, "(rope_parameters.factor)"],
  ["llama3", { rope_parameters: { rope_type: "llama3" } }, "(rope_parameters.low_freq_factor)"],
  ["partial", { partial_rotary_factor: 0.5 }, "(partial_rotary_factor)"],
  ["quantised", { quantization_config: { bits: 4 } }, "unquantised"],
  ["eos", { eos_token_id: -1 }, "(eos_token_id)"],
];

for (const [name, fields, part] of WRONG) {
  Deno.test(`a wrong config is refused: ${name}`, () => {
    const error = assertFails(() => parse({ ...BASE, ...fields }), "config-invalid", part);
    assert.equal(error.place.file, file);
    assert.notEqual(error.remedy, "");
  });
}

Deno.test("unknown architectures name the known ones", () => {
  const gpt2 = () => parse({ ...BASE, model_type: "gpt2" });
  assertFails(gpt2, "family-unknown", "known are llama, mistral, qwen2");
  assertFails(() => parse({ hidden_size: 1 }), "config-invalid", "model_type is missing");
  assertFails(() => parse(null), "config-invalid", "model_type is missing");
  using folder = new TempFolder();
  assertFails(() => readConfig(folder.write("c.json", "{")), "config-invalid", "parse JSON");
  assertFails(() => readConfig(folder.file("none.json")), "io", "none.json");
});

Deno.test("fuzz: any value in any field gives a config or a PacacError", () => {
  const keys = ["hidden_size", "num_attention_heads", "head_dim", "rope_scaling", "eos_token_id"];
  const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constant({ type: "llama3", factor: 1 }));
  fc.assert(
    fc.property(fc.constantFrom(...keys, "rope_parameters", "hidden_act"), value, (key, field) => {
      try {
        const config = parse({ ...BASE, [key]: field });
        assert.equal(config.heads % config.kvHeads, 0);
        assert.equal(config.headDim % 2, 0);
      } catch (error) {
        assert.ok(error instanceof PacacError, String(error));
      }
    }),
    { seed: 5, numRuns: 300 },
  );
});
