/**
 * GGUF files load in llama.cpp and give the text that transformers gives for the same weights; blocks are gguf's own.
 * Needs a Python with gguf, transformers, and llama_cpp (llama-cpp-python) or xllamacpp, named by PACAC_PEER_PYTHON, and
 * for the real model PACAC_SMOLLM2; skipped otherwise.
 * @module
 */
import assert from "node:assert/strict";
import {
  openGguf,
  openWeights,
  readConfig,
  readFloat32,
  unpackGguf,
  writeGgufAdapter,
  writeGgufModel,
  writeMerged,
} from "../../src/formats/mod.ts";
import { quantise } from "../../src/formats/gguf_quantise.ts";
import {
  byteLevelTokenizer,
  piecesTokenizer,
  type SmallConfig,
  smallModel,
} from "../formats/gguf_fixture.ts";
import { TempFolder } from "../formats/support.ts";
import { inRepository } from "../support/paths.ts";

interface Answer {
  readonly package: string | null;
  readonly gguf: boolean;
  readonly llama?: readonly string[];
  readonly transformers?: readonly string[];
  readonly blocks?: Readonly<Record<string, string>>;
}

const PYTHON = Deno.env.get("PACAC_PEER_PYTHON");
const SMOLLM2 = Deno.env.get("PACAC_SMOLLM2");

/** One process for all requests: loading torch takes longer than answering. */
async function ask(...requests: readonly object[]): Promise<Answer[]> {
  const { success, stdout, stderr } = await new Deno.Command(PYTHON ?? "", {
    args: [inRepository("tests/peers/gguf_text.py"), JSON.stringify(requests)],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr).slice(-4000));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
}

const has: Answer = PYTHON === undefined ? { package: null, gguf: false } : (await ask({}))[0];
const noLlama = has.package === null;
const reason = noLlama
  ? " (skipped: set PACAC_PEER_PYTHON to a Python with transformers and llama_cpp or xllamacpp)"
  : ` (${has.package})`;

const LLAMA3 = {
  rope_type: "llama3",
  rope_theta: 500000,
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};
const PIECES = piecesTokenizer();
const MODELS: readonly (readonly [string, SmallConfig & { readonly tokenizer: object }])[] = [
  ["tied llama", { tie_word_embeddings: true, tokenizer: byteLevelTokenizer() }],
  ["llama 3's frequencies", { rope_parameters: LLAMA3, tokenizer: byteLevelTokenizer() }],
  ["pieces, linear scaling", {
    rope_parameters: { rope_type: "linear", rope_theta: 10000, factor: 4 },
    tokenizer: PIECES,
  }],
  ["biases", { attention_bias: true, tokenizer: byteLevelTokenizer() }],
  ["qwen2", {
    model_type: "qwen2",
    architectures: ["Qwen2ForCausalLM"],
    tokenizer: byteLevelTokenizer(),
  }],
];
const PROMPTS = ["the cat sat at the cat", "12 naïve 日本 the <end> the"];

Deno.test({
  name: `llama.cpp and transformers write the same text: ${
    MODELS.map(([name]) => name).join(", ")
  }${reason}`,
  ignore: noLlama,
  async fn() {
    using folder = new TempFolder();
    const requests = MODELS.map(([, more], i) => {
      const made = smallModel(folder.file(`made${i}`), more);
      const source = more.tokenizer === PIECES ? speaking(made, folder.file(`model${i}`)) : made;
      const gguf = folder.file(`${i}.gguf`);
      writeGgufModel(gguf, { weights: openWeights(source), sourceFolder: source, dtype: "F32" });
      return { gguf, folder: source, prompts: PROMPTS, tokens: 24 };
    });
    const answers = await ask(...requests);
    MODELS.forEach(([name], i) => {
      const { llama, transformers } = answers[i];
      assert.deepEqual(llama, transformers, name);
      assert.ok(llama?.every((text) => text.length > 10), `${name}: ${llama}`);
    });
  },
});

Deno.test({
  name: `llama.cpp with a GGUF adapter writes what the merged model writes${reason}`,
  ignore: noLlama,
  async fn() {
    using folder = new TempFolder();
    const source = smallModel(folder.file("model"), { tokenizer: byteLevelTokenizer() });
    const weights = openWeights(source);
    const [gguf, lora] = [folder.file("a.gguf"), folder.file("lora.gguf")];
    writeGgufModel(gguf, { weights, sourceFolder: source, dtype: "F32" });
    const [rank, alpha] = [4, 8];
    const indices = Int32Array.of(0, 17, 31, 63);
    const modules = ["q_proj", "k_proj", "o_proj"].map((name, i) => {
      const module = `model.layers.${i % 2}.self_attn.${name}`;
      const outFeatures = name === "k_proj" ? 32 : 64;
      const delta = Float32Array.from(
        { length: outFeatures * rank },
        (_, at) => Math.sin(at + i),
      );
      return { module, indices, delta, outFeatures, inFeatures: 64 };
    });
    const config = readConfig(`${source}/config.json`);
    writeGgufAdapter(lora, modules, { rank, alpha, config, name: "test" });
    const merged = (name: string) => {
      const update = modules.find(({ module }) => name === `${module}.weight`);
      if (update === undefined) return undefined;
      const values = readFloat32(weights.get(name) ?? assert.fail(name));
      update.delta.forEach((value, at) => {
        const row = Math.floor(at / rank);
        values[row * 64 + indices[at % rank]] += alpha / rank * value;
      });
      return values;
    };
    writeMerged(folder.file("merged"), { weights, merged, sourceFolder: source });
    const request = { gguf, prompts: PROMPTS, tokens: 24 };
    const [plain, answer] = await ask(request, {
      ...request,
      lora,
      folder: folder.file("merged"),
    });
    assert.deepEqual(answer.llama, answer.transformers);
    assert.notDeepEqual(answer.llama, plain.llama);
  },
});

/**
 * The model with a head that scores only whole pieces above 0: what bytes that are no UTF-8 become as text differs.
 */
function speaking(sourceFolder: string, folder: string): string {
  const weights = openWeights(sourceFolder);
  const merged = (name: string) => {
    if (name !== "lm_head.weight") return undefined;
    const head = readFloat32(weights.get(name) ?? assert.fail(name));
    return head.fill(0, 0, 64 * 259).fill(0, 64 * 270);
  };
  writeMerged(folder, { weights, merged, sourceFolder });
  return folder;
}

const noModel = noLlama || SMOLLM2 === undefined;
const FOX = ["The capital of France is", "<|im_start|>user\nName three colours.<|im_end|>\n"];
Deno.test({
  name:
    `SmolLM2 in F16, BF16, Q8_0, Q4_0: llama.cpp writes what transformers does of the file unpacked${
      noModel ? `${reason} (needs PACAC_SMOLLM2)` : reason
    }`,
  ignore: noModel,
  async fn() {
    using folder = new TempFolder();
    const source = SMOLLM2 ?? "";
    const dtypes = ["F16", "BF16", "Q8_0", "Q4_0"] as const;
    const requests = dtypes.map((dtype) => {
      const [gguf, out] = [folder.file(`${dtype}.gguf`), folder.file(dtype)];
      writeGgufModel(gguf, { weights: openWeights(source), sourceFolder: source, dtype });
      assert.equal(openGguf(gguf).weights.size, openWeights(source).size);
      unpackGguf(gguf, out, { dtype: "f32" });
      // llama.cpp rounds activations to 8 bits before it multiplies by 4-bit weights: texts part sooner or later.
      return { gguf, folder: out, prompts: FOX, tokens: dtype === "Q4_0" ? 6 : 16 };
    });
    const answers = await ask(...requests);
    dtypes.forEach((dtype, i) => {
      assert.deepEqual(answers[i].llama, answers[i].transformers, dtype);
    });
  },
});

Deno.test({
  name: `quantised blocks are those of the gguf package${
    has.gguf ? "" : " (skipped: PACAC_PEER_PYTHON has no gguf)"
  }`,
  ignore: !has.gguf,
  async fn() {
    using folder = new TempFolder();
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const values = normals(seed, 32 * 2000);
    values.fill(0, 0, 32);
    values.set([-1, 1, 0.5, -0.5], 32);
    const types = ["F16", "BF16", "Q8_0", "Q4_0"] as const;
    const bytes = new Uint8Array(values.buffer);
    const [{ blocks }] = await ask({ quantise: folder.write("values", bytes), types });
    for (const dtype of types) {
      const ours = quantise(values, dtype, { name: "t" }).toHex();
      assert.equal(ours, blocks?.[dtype], `${dtype}, seed ${seed}`);
    }
  },
});

// Sums of uniform numbers, scaled by block so that small and large blocks come.
function normals(seed: number, size: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length: size }, (_, i) => {
    return (next() + next() + next()) * 10 ** (Math.floor(i / 32) % 7 - 4);
  });
}
