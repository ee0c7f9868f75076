/**
 * Faults planted in the generated kernels and their headers: each must be found, by a finding, a counter, ptxas or the numbers.
 * What passes the other cuda tests has been through the same sieve.
 * @module
 */
import assert from "node:assert/strict";
import { type Draft, heads, makeCase, type OpCase } from "../cases/mod.ts";
import { planCases, runCases } from "../support/cuda_cases.ts";
import { cudaTest, resourcesOf, withHeaders } from "../support/nvcc.ts";
import { renderCuda } from "../support/cuda_engine.ts";

const { attributes, widths } = heads(2, 1, 64, 130);
const DRAFTS = {
  linear: { op: "linear", extents: { T: 100, K: 200, O: 136 }, omit: ["bias"] },
  paca: {
    op: "paca_linear",
    extents: { T: 100, K: 328, O: 72, R: 24 },
    attributes: { scale: 2 },
    omit: ["bias"],
  },
  delta: {
    op: "paca_linear_backward_delta",
    extents: { T: 600, K: 72, O: 72, R: 8 },
    attributes: { scale: 2 },
  },
  attention: { op: "attention", extents: { T: 130, ...widths }, attributes },
  attentionBackward: { op: "attention_backward", extents: { T: 130, ...widths }, attributes },
  head: { op: "lm_head_loss", extents: { T: 37, D: 72, V: 267 } },
  norm: { op: "rms_norm", extents: { T: 37, D: 72 }, attributes: { eps: 1e-5 } },
} as const satisfies Record<string, Draft>;

interface Plant {
  readonly fault: string;
  readonly draft: keyof typeof DRAFTS;
  readonly text: string;
  readonly by: string;
  /** What a finding says, or that the numbers are off. */
  readonly finding: RegExp | "numbers";
}

const WAIT_SLICE = "copy_wait<T::kStages - 2>();\n    __syncthreads();";

const PLANTS: readonly Plant[] = [
  {
    fault: "products: no barrier before a slice is used",
    draft: "linear",
    text: WAIT_SLICE,
    by: "copy_wait<T::kStages - 2>();",
    finding: /race: .*[^]*ldmatrix/,
  },
  {
    fault: "products: a stage is filled before the barrier that all leave it by",
    draft: "linear",
    text: `${WAIT_SLICE.split("\n")[0]}\n    __syncthreads();`,
    by: "copy_wait<T::kStages - 2>();\n    fetch(slice + T::kStages - 1); copy_wait<0>(); " +
      "__syncthreads(); if (false)",
    finding: /race: .*[^]*cp\.async/,
  },
  {
    fault: "products: waits for one slice too few",
    draft: "linear",
    text: "copy_wait<T::kStages - 2>();",
    by: "copy_wait<T::kStages - 1>();",
    finding: /async-pending|uninitialised/,
  },
  {
    fault: "products: the result is staged without a barrier after the last slice",
    draft: "linear",
    text: "copy_wait<0>();\n  __syncthreads();\n}",
    by: "copy_wait<0>();\n}",
    finding: /race: /,
  },
  {
    fault: "products: a staged result leaves without a barrier",
    draft: "linear",
    text: "});\n  __syncthreads();\n}",
    by: "});\n}",
    finding: /race: /,
  },
  {
    fault: "products: stores one row too many",
    draft: "linear",
    text: "if (row + t >= kTokens || column + o >= kOut) return;",
    by: "if (row + t > kTokens || column + o >= kOut) return;",
    finding: /out-of-bounds: [^]*st\.global/,
  },
  {
    fault: "products: loads one row too many",
    draft: "linear",
    text: "const bool inside = side + row < sides && k + chunk * 8 < depth;",
    by: "const bool inside = side + row <= sides && k + chunk * 8 < depth;",
    finding: /out-of-bounds: [^]*cp\.async/,
  },
  {
    fault: "products: operands of mma swapped",
    draft: "linear",
    text: '"r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3])',
    by: '"r"(a[0]), "r"(a[2]), "r"(a[1]), "r"(a[3])',
    finding: "numbers",
  },
  {
    fault: "PaCA: the rest of x_p's tile is not cleared",
    draft: "paca",
    text: "clear_rest<T::BM, columns, T::kThreads>(a_more);",
    by: "",
    finding: /uninitialised: [^]*ldmatrix/,
  },
  {
    fault: "PaCA: x_p is not written, that of the step before stays",
    draft: "paca",
    text: "if (blockIdx.x == 0) store_gathered",
    by: "if (row < 0) store_gathered",
    finding: "numbers",
  },
  {
    fault: "PaCA: x_p is gathered after its slice may be filled anew",
    draft: "paca",
    text: "visit(part, k_begin + slice * T::BK);",
    by: "if (slice > 0) visit(shared + (slice - 1) % T::kStages * kBytes, " +
      "k_begin + (slice - 1) * T::BK);",
    finding: /race: |async-pending/,
  },
  {
    fault: "dD: splits write one place, without an ordered sum",
    draft: "delta",
    text: "static_cast<std::int64_t>(blockIdx.z) * kOut * kColumns",
    by: "static_cast<std::int64_t>(0) * kOut * kColumns",
    finding: /race-between-blocks: /,
  },
  {
    fault: "attention: no barrier before keys are used",
    draft: "attention",
    text: "copy_wait<1>();\n    __syncthreads();",
    by: "copy_wait<1>();",
    finding: /race: [^]*ldmatrix/,
  },
  {
    fault: "attention: no barrier after keys were used",
    draft: "attention",
    text: "__syncthreads(); // all have left the tiles that are filled next",
    by: "",
    finding: /race: [^]*cp\.async/,
  },
  {
    fault: "attention: waits for one block of keys too few",
    draft: "attention",
    text: "copy_wait<1>();",
    by: "copy_wait<2>();",
    finding: /async-pending|uninitialised/,
  },
  {
    fault: "attention backward: no barrier after queries were used",
    draft: "attentionBackward",
    text: "__syncthreads(); // all have left the tiles",
    by: "",
    finding: /race: /,
  },
  {
    fault: "softmax of the head: no barrier before the warps' sums are used",
    draft: "head",
    text: "totals[warp] = total;\n  }\n  __syncthreads();",
    by: "totals[warp] = total;\n  }",
    finding: /race: |uninitialised/,
  },
  {
    fault: "rows: one row too many",
    draft: "norm",
    text: "if (t >= kTokens) return;",
    by: "if (t > kTokens) return;",
    finding: /out-of-bounds: /,
  },
];

/** The case; attention forward has one document, so that all blocks of keys are visited. */
function drawn(draft: Draft): OpCase {
  const one = makeCase(draft, 7);
  if (draft.op === "attention") one.inputs.start.fill(0);
  return one;
}

/** Blanks count as one, so that formatting does not matter. @throws where the text is not there */
function replaceIn(source: string, text: string, by: string): string {
  const words = text.split(/\s+/).map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(words.join("\\s+"), "g");
  const places = [...source.matchAll(pattern)].length;
  assert.ok(places > 0, `no place has ${text}`);
  return source.replaceAll(pattern, () => by);
}

for (const { fault, draft, text, by, finding } of PLANTS) {
  cudaTest(`cuda, planted: ${fault}`, async () => {
    const edit = (source: string) => replaceIn(source, text, by);
    const ran = await runCases([drawn(DRAFTS[draft])], { edit });
    if (finding === "numbers") {
      assert.throws(() => ran.assertNumbers(), /relative error/);
    } else {
      const found = ran.findings();
      assert.ok(found.some((one) => finding.test(one)), `not among:\n${found.join("\n")}`);
    }
  });
}

cudaTest("cuda, planted: without swizzling banks conflict", async () => {
  const factors = await Promise.all(["chunk ^ turn", "chunk ^ (turn * 0)"].map(async (by) => {
    const edit = (source: string) => replaceIn(source, "chunk ^ turn", by);
    const { engine } = await runCases([drawn(DRAFTS.linear)], { edit });
    const places = engine.launches.flatMap(({ counters }) => counters.places);
    const loads = places.filter(({ opcode }) => opcode.startsWith("ldmatrix"));
    return Math.max(...loads.map(({ shared }) => shared?.factor ?? NaN));
  }));
  assert.equal(factors[0], 1);
  assert.ok(factors[1] >= 4, `${factors[1]}`);
});

cudaTest("cuda, planted: too few registers spill, and ptxas says so", async () => {
  const [{ source }] = renderCuda(planCases([drawn(DRAFTS.linear)]).plan);
  const spills = async (text: string, flags: readonly string[]) =>
    (await resourcesOf(text, "sm_80", flags)).map(({ spillStores }) => spillStores);
  const text = withHeaders(source);
  assert.deepEqual(await spills(text, []), [0]);
  // Launch bounds would stand above the flag.
  const unbounded = replaceIn(text, "__launch_bounds__(Tile::kThreads, kResident)", "");
  assert.ok((await spills(unbounded, ["-maxrregcount=32"]))[0] > 0);
});
