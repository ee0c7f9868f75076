/**
 * The cuda kernels' search space: the large tiles that real shapes get by default, and random legal values, at small ragged shapes
 * in the emulator. Other cases take the default for their few rows, which is the smallest tile.
 * @module
 */
import assert from "node:assert/strict";
import type { Node } from "../../src/graph/graph.ts";
import { cudaTarget } from "../../src/targets/cuda/mod.ts";
import { defaultTiles } from "../../src/targets/cuda/tiles.ts";
import type { Kernel, KernelCall, Tunables } from "../../src/targets/target.ts";
import { isTunable } from "../../src/tune/choose.ts";
import { type Draft, heads, makeCase, optimizerDrafts, seeded } from "../cases/mod.ts";
import { runCases } from "../support/cuda_cases.ts";
import { cudaTest } from "../support/nvcc.ts";

const SEED = Number(Deno.env.get("PACAC_SEED") ?? 20261125);

/** Random values of each op, beside the large tiles of products: each is a kernel to compile and to emulate. */
const RANDOM = 2;

/** Extents at which products take 128 x 128 and 64 x 64 by default. */
const LARGE = [{ m: 2048, n: 2048 }, { m: 1024, n: 704 }] as const;
/** A tile of the result that takes more shared memory than the stages. */
const FLAT: Tunables = { bm: 256, bn: 128, bk: 32, stages: 2, warpsM: 4, warpsN: 4 };

const product = { T: 131, K: 72, O: 136, R: 8 };
const scale = { attributes: { scale: 2 } };
const attention = heads(2, 1, 32, 65);

const rows = { T: 37, D: 72 };
const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };

/** Ragged cases of each root of a kernel that can be tuned; those of a list are run together. */
const DRAFTS: Readonly<Record<string, readonly Draft[]>> = {
  linear: [{ op: "linear", extents: product }, { op: "paca_linear", extents: product, ...scale }],
  linear_backward_input: [
    { op: "linear_backward_input", extents: product },
    { op: "paca_linear_backward_input", extents: product, ...scale },
  ],
  linear_backward_weight: [
    { op: "linear_backward_weight", extents: product },
    { op: "paca_linear_backward_delta", extents: product, ...scale },
  ],
  lm_head: [
    { op: "lm_head_loss", extents: { ...rows, V: 267 } },
    { op: "lm_head_logits", extents: { ...rows, V: 267, C: 3 } },
  ],
  attention: ["attention", "attention_backward"].map((op) => ({
    op,
    extents: { T: 130, ...attention.widths },
    attributes: attention.attributes,
  })),
  "row by row": [
    { op: "embed", extents: { ...rows, V: 7 } },
    { op: "rms_norm", extents: rows, attributes: { eps: 1e-5 } },
    { op: "rms_norm_backward", extents: rows },
  ],
  "element by element": [
    { op: "embed_backward", extents: { ...rows, V: 7 }, attributes: { vocab: 7 } },
    { op: "rope", extents: { T: 34, P: 12, Q: 24, S: 65 }, attributes: { head_dim: 12 } },
    { op: "swiglu", extents: { T: 37, F: 72 } },
    { op: "swiglu_backward", extents: { T: 37, F: 72 } },
    { op: "add", extents: rows },
    { op: "global_norm", extents: { P: 37 * 72 } },
    { op: "adamw", extents: { P: 37 * 72 }, attributes: adamw },
    ...optimizerDrafts(37 * 72),
  ],
};

/** Values of a call: the large tiles first, where its kernel has tiles, then random ones. */
function* valuesOf(kernel: Kernel, call: KernelCall, random: () => number): Generator<Tunables> {
  const legal = (values: Tunables) => kernel.legal(values, cudaTarget.isa, call);
  if ("bm" in kernel.tunables) {
    for (const { m, n } of LARGE) {
      const values = { ...kernel.defaults(call, cudaTarget.isa), ...defaultTiles({ m, n }) };
      assert.ok(legal(values), `${kernel.name} has no ${JSON.stringify(values)}`);
      yield values;
    }
    const flat = { ...kernel.defaults(call, cudaTarget.isa), ...FLAT };
    if (legal(flat)) yield flat;
  }
  const choices = Object.entries(kernel.tunables);
  for (let tried = 0; tried < 1000; tried++) {
    const values = Object.fromEntries(
      choices.map(([name, all]) => [name, all[Math.floor(random() * all.length)]]),
    );
    if (legal(values)) yield values;
  }
}

/** How many of them are run. */
function countOf({ op }: Draft): number {
  return /linear|lm_head/.test(op) ? LARGE.length + 1 + RANDOM : RANDOM;
}

for (const [at, [what, drafts]] of Object.entries(DRAFTS).entries()) {
  cudaTest(`cuda: ${what}, other values than the defaults (PACAC_SEED ${SEED})`, async () => {
    const random = seeded(SEED + at);
    const cases = drafts.flatMap((draft, i) =>
      Array.from({ length: countOf(draft) }, (_, n) => makeCase(draft, 1000 * at + 10 * i + n))
    );
    const values = new Map<string, Generator<Tunables>>();
    const chosen = new Map<Node, Tunables>();
    const choose = (kernel: Kernel, call: KernelCall): Tunables | undefined => {
      if (!isTunable(kernel)) return undefined;
      const known = chosen.get(call.node);
      if (known !== undefined) return known;
      const all = values.get(call.node.op) ?? valuesOf(kernel, call, random);
      values.set(call.node.op, all);
      const next = all.next().value;
      assert.ok(next !== undefined, `no draw of ${kernel.name} is legal`);
      chosen.set(call.node, next);
      return next;
    };
    const ran = await runCases(cases, { choose });
    assert.equal(chosen.size, cases.length);
    try {
      ran.assertClean();
    } catch (error) {
      throw new Error(JSON.stringify([...chosen.values()]), { cause: error });
    }
  });
}

Deno.test("every op whose cuda kernel can be tuned has a case with other values", () => {
  const roots = cudaTarget.kernels.filter(isTunable).flatMap(({ serves }) => serves.roots);
  const missing = roots.filter((root) =>
    !Object.values(DRAFTS).flat().some(({ op }) => op === root)
  );
  assert.deepEqual(missing, []);
});
