/**
 * Models as GGUF files: exported and opened again they are the same; adapters; the real model's file unpacked.
 * SmolLM2's file is below PACAC_SHARED's models/, its unpacked weights PACAC_SMOLLM2; skipped where they are not there.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type GgufWeight,
  openGguf,
  openSafetensors,
  openWeights,
  readBytes,
  readConfig,
  readFloat32,
  tensorOf,
  unpackGguf,
  writeGgufAdapter,
  writeGgufModel,
} from "../../src/formats/mod.ts";
import { openGgufFile } from "../../src/formats/gguf_header.ts";
import { type GgufValue, list, text, u32 } from "../../src/formats/gguf_types.ts";
import { writeGguf } from "../../src/formats/gguf_writer.ts";
import { reorderRows } from "../../src/formats/gguf_names.ts";
import { loadTokenizer } from "../../src/train/mod.ts";
import { inRepository } from "../support/paths.ts";
import { assertFails, TempFolder } from "./support.ts";
import {
  byteLevelTokenizer,
  piecesTokenizer,
  type SmallConfig,
  smallModel,
} from "./gguf_fixture.ts";

const SHARED = Deno.env.get("PACAC_SHARED") ?? inRepository("../shared");
const GGUF = `${SHARED}/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf`;
const WEIGHTS = Deno.env.get("PACAC_SMOLLM2") ?? inRepository("generated/smollm2-weights");

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function whole({ read }: GgufWeight): Float32Array {
  return Float32Array.from([...read()].flatMap((part) => [...part]));
}

const LLAMA3 = {
  rope_type: "llama3",
  rope_theta: 500000,
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
};
const MODELS: readonly (readonly [string, SmallConfig])[] = [
  ["tied llama", { tie_word_embeddings: true }],
  ["llama 3's frequencies", { rope_parameters: LLAMA3 }],
  ["linear scaling", { rope_scaling: { rope_type: "linear", factor: 4 }, rope_theta: 5000 }],
  ["llama with biases", { attention_bias: true, mlp_bias: true }],
  ["qwen2", { model_type: "qwen2", rms_norm_eps: 1e-6 }],
];

Deno.test.each(MODELS)("gguf: what is exported opens as the same model: %s", (_, more) => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { ...more, tokenizer: byteLevelTokenizer() });
  const weights = openWeights(source);
  const file = folder.file("a.gguf");
  writeGgufModel(file, { weights, sourceFolder: source, dtype: "F32" });
  const base = openGguf(file);
  assert.deepEqual(base.config, readConfig(`${source}/config.json`));
  assert.deepEqual([...base.weights.keys()].sort(), [...weights.keys()].sort());
  for (const [name, tensor] of weights) {
    const back = base.weights.get(name) ?? assert.fail(name);
    assert.deepEqual(back.shape, tensor.shape);
    assert.deepEqual(whole(back), readFloat32(tensor), name);
  }
});

Deno.test("gguf: q and k are interleaved, and nothing else", () => {
  const rows = Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  const order = { headDim: 4, rowLength: 1 } as const;
  const there = reorderRows(rows, { ...order, to: "interleaved" });
  assert.deepEqual([...there], [0, 2, 1, 3, 4, 6, 5, 7]);
  assert.deepEqual(reorderRows(there, { ...order, to: "halves" }), rows);
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
  writeGgufModel(folder.file("a.gguf"), {
    weights: openWeights(source),
    sourceFolder: source,
    dtype: "F32",
  });
  const { tensors } = openGgufFile(folder.file("a.gguf"));
  const file = Deno.readFileSync(folder.file("a.gguf"));
  const moved = [...openWeights(source)].filter(([name, tensor]) => {
    const short = name.replace(/^model\.layers\.(\d+)\.self_attn\.(\w)_proj/, "blk.$1.attn_$2");
    const stored = tensors.get(short);
    if (stored === undefined) return false;
    const bytes = file.subarray(stored.byteOffset, stored.byteOffset + stored.byteLength);
    return !bytes.every((byte, i) => byte === readBytes(tensor)[i]);
  });
  assert.deepEqual(moved.map(([name]) => name.slice(-13)).sort(), [
    "k_proj.weight",
    "k_proj.weight",
    "q_proj.weight",
    "q_proj.weight",
  ]);
});

Deno.test("gguf: types by tensor: vectors F32, odd rows F16, Q4_0's embedding Q8_0", () => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), {
    intermediate_size: 40,
    tokenizer: byteLevelTokenizer(),
  });
  const dtypes = (dtype: "Q4_0" | "BF16") => {
    const model = { weights: openWeights(source), sourceFolder: source, dtype };
    writeGgufModel(folder.file("a.gguf"), model);
    const { tensors } = openGgufFile(folder.file("a.gguf"));
    return ["token_embd", "blk.0.attn_q", "blk.1.ffn_down", "output_norm", "output"]
      .map((name) => tensors.get(`${name}.weight`)?.dtype);
  };
  assert.deepEqual(dtypes("Q4_0"), ["Q8_0", "Q4_0", "F16", "F32", "Q8_0"]);
  assert.deepEqual(dtypes("BF16"), ["BF16", "BF16", "BF16", "F32", "BF16"]);
});

Deno.test("gguf: merged values take the place of the base's", () => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
  const weights = openWeights(source);
  const name = "model.layers.1.self_attn.q_proj.weight";
  const fresh = readFloat32(weights.get(name) ?? assert.fail()).map((value) => value + 1);
  const merged = (asked: string) => asked === name ? fresh : undefined;
  writeGgufModel(folder.file("a.gguf"), { weights, merged, sourceFolder: source, dtype: "F32" });
  const base = openGguf(folder.file("a.gguf"));
  assert.deepEqual(whole(base.weights.get(name) ?? assert.fail()), fresh);
});

Deno.test("gguf: weights that do not fit their config are refused, and nothing is written", () => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
  const whole = openWeights(source);
  const refused = (weights: typeof whole, says: string | RegExp) => {
    const model = { weights, sourceFolder: source, dtype: "F16" } as const;
    assertFails(
      () => writeGgufModel(folder.file("a.gguf"), model),
      "weights-mismatch",
      says,
    );
    assert.deepEqual(folder.names(), ["model"]);
  };
  const name = "model.norm.weight";
  const norm = whole.get(name) ?? assert.fail();
  refused(new Map([...whole].filter(([key]) => key !== name)), /\(?model.norm.weight\)?.*missing/);
  refused(new Map([...whole, ["model.extra.weight", norm]]), "no such tensor");
  refused(new Map([...whole, [name, { ...norm, shape: [32, 2] }]]), "[32, 2], the config says");
  const stream = { weights: whole, sourceFolder: source, dtype: "F16" } as const;
  const merged = (key: string) => key === name ? new Float32Array(64).fill(NaN) : undefined;
  writeGgufModel(folder.file("a.gguf"), { ...stream, merged });
  const large = (key: string) =>
    key.endsWith("q_proj.weight") ? new Float32Array(64 * 64).fill(1e6) : undefined;
  const before = Deno.readFileSync(folder.file("a.gguf"));
  assertFails(
    () => writeGgufModel(folder.file("a.gguf"), { ...stream, merged: large }),
    "weights-mismatch",
    "does not fit F16",
  );
  assert.deepEqual(Deno.readFileSync(folder.file("a.gguf")), before);
  assert.deepEqual(folder.names(), ["a.gguf", "model"]);
});

for (
  const [kind, tokenizer] of [
    ["byte-level", byteLevelTokenizer()],
    ["pieces", piecesTokenizer()],
  ] as const
) {
  Deno.test(`gguf: a tokenizer comes back as it was: ${kind}`, async () => {
    using folder = new TempFolder();
    const source = smallModel(folder.file("model"), { tokenizer });
    const weights = openWeights(source);
    writeGgufModel(folder.file("a.gguf"), { weights, sourceFolder: source, dtype: "F16" });
    unpackGguf(folder.file("a.gguf"), folder.file("out"), { dtype: "f32" });
    const [before, after] = [await loadTokenizer(source), await loadTokenizer(folder.file("out"))];
    for (const text of ["the cat sat", "  the  the cat", "naïve 12345 日本 👩", "<end>the<end>"]) {
      const ids = before.encode(text, { specialTokens: true });
      assert.deepEqual(after.encode(text, { specialTokens: true }), ids, text);
      assert.equal(after.decode(ids), before.decode(ids));
    }
    const vocab = (folder: string) =>
      Object.keys(JSON.parse(Deno.readTextFileSync(`${folder}/tokenizer.json`)).model.vocab);
    const missing = new Set(vocab(source)).difference(new Set(vocab(folder.file("out"))));
    assert.deepEqual([...missing], []);
    const turns = [{ role: "user", content: "hi" }];
    assert.equal(after.chat(turns), before.chat(turns));
    assert.deepEqual([after.bosId, after.eosId], [before.bosId, before.eosId]);
    const norms = openSafetensors(folder.file("out/model.safetensors"));
    const name = "model.norm.weight";
    assert.deepEqual(
      readFloat32(tensorOf(norms, name)),
      readFloat32(weights.get(name) ?? assert.fail()),
    );
  });
}

const CLAIMS: readonly (readonly [string, readonly (readonly [string, GgufValue])[], RegExp])[] = [
  ["too many layers", [["llama.block_count", u32(2 ** 31 - 1)]], /2147483647 layers, but/],
  ["heads as text", [["llama.attention.head_count", text("4")]], /must be a number/],
  ["no whole heads", [["llama.attention.head_count", u32(0)]], /num_attention_heads/],
  ["another architecture", [["general.architecture", text("mamba")]], /"mamba" is not known/],
  ["experts", [["llama.expert_count", u32(8)]], /mixture of experts/],
  ["half a head rotated", [["llama.rope.dimension_count", u32(8)]], /8 of 16 elements/],
  ["another scaling", [["llama.rope.scaling.type", text("yarn")]], /"yarn" is not known/],
  ["another width", [["llama.embedding_length", u32(32)]], /shape is \[320, 64\]/],
  ["layers of their own", [["llama.feed_forward_length", list("u32", [96, 64])]], /same for all/],
  ["tokens for less", [["tokenizer.ggml.token_type", list("i32", [1])]], /1 values for 320/],
  ["a merge of one", [["tokenizer.ggml.merges", list("string", ["the"])]], /"the" is no pair/],
  ["another cut", [["tokenizer.ggml.pre", text("dbrx")]], /"dbrx" is not known/],
];

Deno.test.each(CLAIMS)("gguf: metadata that do not fit are refused: %s", (what, changes, says) => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
  const file = folder.file("a.gguf");
  writeGgufModel(file, { weights: openWeights(source), sourceFolder: source, dtype: "F16" });
  const { metadata, tensors } = openGgufFile(file);
  const bytes = Deno.readFileSync(file);
  const copies = [...tensors.values()].map((tensor) => ({
    ...tensor,
    bytes: () => [bytes.slice(tensor.byteOffset, tensor.byteOffset + tensor.byteLength)],
  }));
  writeGguf(file, { metadata: new Map([...metadata, ...changes]), tensors: copies });
  const code = what === "no whole heads" ? "config-invalid" : "gguf-invalid";
  assertFails(() => unpackGguf(file, folder.file("out")), code, says);
  assert.deepEqual(folder.names(), ["a.gguf", "model"]);
});

Deno.test("gguf: a way to cut text that GGUF has no name for is refused", () => {
  using folder = new TempFolder();
  const tokenizer = { ...byteLevelTokenizer(), pre_tokenizer: { type: "Whitespace" } };
  const source = smallModel(folder.file("model"), { tokenizer });
  assertFails(
    () =>
      writeGgufModel(folder.file("a.gguf"), {
        weights: openWeights(source),
        sourceFolder: source,
        dtype: "F16",
      }),
    "tokenizer-invalid",
    "pre_tokenizer",
  );
});

Deno.test("gguf: an adapter is LoRA with A of unit rows, B scaled, rows of q in the file's order", () => {
  using folder = new TempFolder();
  const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
  const config = readConfig(`${source}/config.json`);
  const delta = Float32Array.from({ length: 128 }, (_, i) => i);
  const update = { indices: Int32Array.of(3, 60), delta, outFeatures: 64, inFeatures: 64 };
  const names = ["self_attn.q_proj", "self_attn.o_proj"].map((name) => `model.layers.1.${name}`);
  const modules = names.map((module) => ({ module, ...update }));
  const file = folder.file("a.gguf");
  writeGgufAdapter(file, modules, { rank: 2, alpha: 8, config, name: "mine" });
  const { metadata, tensors } = openGgufFile(file);
  assert.deepEqual(metadata.get("general.type"), { type: "string", value: "adapter" });
  assert.deepEqual(metadata.get("adapter.type"), { type: "string", value: "lora" });
  assert.deepEqual(metadata.get("adapter.lora.alpha"), { type: "f32", value: 2 });
  const bytes = Deno.readFileSync(file);
  const values = (name: string) => {
    const { byteOffset, byteLength } = tensors.get(name) ?? assert.fail(name);
    return new Float32Array(bytes.slice(byteOffset, byteOffset + byteLength).buffer);
  };
  const a = values("blk.1.attn_q.weight.lora_a");
  assert.deepEqual(tensors.get("blk.1.attn_q.weight.lora_a")?.shape, [2, 64]);
  assert.deepEqual([...a.keys()].filter((i) => a[i] !== 0), [3, 64 + 60]);
  const scaled = delta.map((value) => 4 * value);
  assert.deepEqual(values("blk.1.attn_output.weight.lora_b"), scaled);
  const order = { headDim: 16, rowLength: 2, to: "interleaved" } as const;
  assert.deepEqual(values("blk.1.attn_q.weight.lora_b"), reorderRows(scaled, order));
  const unknown = [{ ...modules[0], module: "model.layers.1.router" }];
  assertFails(
    () => writeGgufAdapter(file, unknown, { rank: 2, alpha: 8, config, name: "mine" }),
    "adapter-invalid",
    "no name for the layer",
  );
});

const there = [GGUF, `${WEIGHTS}/model.safetensors`].every(isFile);
Deno.test({
  name: `gguf: SmolLM2's file unpacks to the bits of its folder${
    there ? "" : ` (skipped: needs ${GGUF}, and ${WEIGHTS} or PACAC_SMOLLM2)`
  }`,
  ignore: !there,
  async fn() {
    using folder = new TempFolder();
    unpackGguf(GGUF, folder.path);
    const unpacked = openSafetensors(folder.file("model.safetensors"));
    const wanted = openWeights(WEIGHTS);
    assert.deepEqual([...unpacked.tensors.keys()].sort(), [...wanted.keys()].sort());
    for (const [name, tensor] of wanted) {
      const [ours, theirs] = [readBytes(tensorOf(unpacked, name)), readBytes(tensor)];
      assert.ok(Buffer.compare(ours, theirs) === 0, name);
    }
    // A GGUF file holds float32: the folder's 1e-5 may be written either way.
    const single = (file: string) => {
      const config = readConfig(file);
      return { ...config, rmsNormEps: Math.fround(config.rmsNormEps) };
    };
    assert.deepEqual(single(folder.file("config.json")), single(`${WEIGHTS}/config.json`));
    const [ours, theirs] = [await loadTokenizer(folder.path), await loadTokenizer(WEIGHTS)];
    const text = "The quick brown fox, naïve café: 日本 👩 1234<|im_end|>\n\n\tx";
    assert.deepEqual(ours.encode(text), theirs.encode(text));
    const turns = [{ role: "user", content: "What is 2 + 2?" }];
    assert.equal(ours.chat(turns), theirs.chat(turns));
  },
});
