/**
 * Adapters become one another, merged weights and GGUF, and say the same thing in every form.
 * @module
 */
import assert from "node:assert/strict";
import {
  exportAdapter,
  type ExportKind,
  type ExportOptions,
  openSafetensors,
  openWeights,
  readAdapter,
  readFloat32,
  resolveModel,
  writeAdapter,
} from "../../src/formats/mod.ts";
import { seeded } from "../cases/mod.ts";
import { assertClose } from "../support/compare.ts";
import { inRepository } from "../support/paths.ts";

const BASE = inRepository("tests/golden/llama_tied");
const [RANK, ALPHA] = [4, 6];
const MODULES = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"];

function sizes() {
  const weights = openWeights(BASE);
  return MODULES.map((module) => {
    const [outFeatures, inFeatures] = weights.get(`${module}.weight`)?.shape ?? [0, 0];
    return { module, outFeatures, inFeatures };
  });
}

/** An adapter of two linears, and what it was made of. */
function adapterIn(folder: string) {
  const random = seeded(7);
  const updates = sizes().map((size) => ({
    ...size,
    indices: Int32Array.of(0, 3, 17, size.inFeatures - 1),
    delta: Float32Array.from({ length: size.outFeatures * RANK }, () => random() - 0.5),
  }));
  writeAdapter(folder, updates, { rank: RANK, alpha: ALPHA, baseModel: "base" });
  return updates;
}

async function inTemporary(run: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pacac-export-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function convert(from: string, to: ExportKind, more: Partial<ExportOptions> & { out: string }) {
  exportAdapter(from, { to, base: resolveModel(BASE, { need: "weights" }), ...more });
}

Deno.test("export: peft, lora, paca and back hold the same update", async () => {
  await inTemporary((folder) => {
    const updates = adapterIn(`${folder}/a`);
    convert(`${folder}/a`, "lora", { out: `${folder}/b` });
    convert(`${folder}/b`, "paca", { out: `${folder}/c` });
    convert(`${folder}/c`, "peft", { out: `${folder}/d` });
    const { format, modules } = readAdapter(`${folder}/d`, {
      rank: RANK,
      alpha: ALPHA,
      modules: sizes(),
    });
    assert.equal(format, "peft");
    modules.forEach(({ indices, delta }, i) => {
      assert.deepEqual(indices, updates[i].indices);
      assertClose(delta, updates[i].delta, { tolerance: 1e-5, what: updates[i].module });
    });
  });
});

Deno.test("export: merged weights are the base with the update, and nothing else changes", async () => {
  await inTemporary((folder) => {
    const updates = adapterIn(`${folder}/a`);
    convert(`${folder}/a`, "merged", { out: `${folder}/m`, dtype: "F32" });
    const base = openWeights(BASE);
    const merged = openSafetensors(`${folder}/m/model.safetensors`).tensors;
    assert.deepEqual([...merged.keys()].sort(), [...base.keys()].sort());
    for (const [name, tensor] of merged) {
      const expected = readFloat32(base.get(name) ?? tensor);
      const update = updates.find(({ module }) => `${module}.weight` === name);
      update?.delta.forEach((value, i) => {
        const [o, j] = [Math.floor(i / RANK), i % RANK];
        expected[o * update.inFeatures + update.indices[j]] += ALPHA / RANK * value;
      });
      assertClose(readFloat32(tensor), expected, { tolerance: 1e-6, what: name });
    }
  });
});

Deno.test("export: a GGUF adapter is written; merged weights refuse a type they cannot have", async () => {
  await inTemporary((folder) => {
    adapterIn(`${folder}/a`);
    convert(`${folder}/a`, "gguf-lora", { out: `${folder}/a.gguf` });
    const bytes = Deno.readFileSync(`${folder}/a.gguf`);
    assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), "GGUF");
    assert.throws(() => convert(`${folder}/a`, "merged", { out: `${folder}/m`, dtype: "Q4_0" }), {
      code: "usage",
      place: { field: "--dtype" },
    });
  });
});
