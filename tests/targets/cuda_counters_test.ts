/**
 * What the cuda kernels ask of memory, counted in the emulator at whole tiles: no bank conflict in a main loop, whole sectors of device
 * memory. Where an access is narrower than a sector by its nature (one value for a row) a sector for each is what it can be.
 * @module
 */
import assert from "node:assert/strict";
import type { CounterReport, PlaceCount } from "../../src/emulator/mod.ts";
import { type Draft, heads, makeCase } from "../cases/mod.ts";
import { runCases } from "../support/cuda_cases.ts";
import { cudaTest } from "../support/nvcc.ts";

const { attributes, widths } = heads(2, 1, 64, 128);
const scale = { attributes: { scale: 2 } };
const GEMM = { T: 128, K: 256, O: 256, R: 32 };
const ROWS = { T: 64, D: 256, F: 256 };

/** Matrix products. */
const PRODUCTS: readonly Draft[] = [
  { op: "linear", extents: GEMM },
  { op: "linear_backward_input", extents: GEMM },
  { op: "linear_backward_weight", extents: GEMM },
  { op: "paca_linear", extents: GEMM, ...scale },
  { op: "paca_linear_backward_input", extents: GEMM, ...scale },
  { op: "paca_linear_backward_delta", extents: GEMM, ...scale },
  { op: "attention", extents: { T: 128, ...widths }, attributes },
  { op: "attention_backward", extents: { T: 128, ...widths }, attributes },
  { op: "lm_head_logits", extents: { T: 64, D: 256, V: 512, C: 64 } },
];

/** Everything else; the head's loss has both kinds of launches. */
const OTHERS: readonly Draft[] = [
  { op: "lm_head_loss", extents: { T: 128, D: 256, V: 512 }, outputs: ["dweight"] },
  { op: "linear_backward_bias", extents: GEMM },
  { op: "embed", extents: { ...ROWS, V: 32 } },
  { op: "embed_backward", extents: { ...ROWS, V: 32 }, attributes: { vocab: 32 } },
  { op: "rms_norm", extents: ROWS, attributes: { eps: 1e-5 } },
  { op: "rms_norm_backward", extents: ROWS, outputs: ["dweight"] },
  { op: "swiglu", extents: ROWS },
  { op: "swiglu_backward", extents: ROWS },
  { op: "add", extents: ROWS },
  {
    op: "rope",
    extents: { T: 64, P: 64, Q: 256, S: 65 },
    attributes: { head_dim: 64, inverse: false },
  },
  { op: "global_norm", extents: { P: 8192 } },
  {
    op: "adamw",
    extents: { P: 8192 },
    attributes: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  },
];

/** The rows of x_p leave once, behind the main loop: its tile is laid out for the loop. */
const isBehindLoop = ({ opcode }: PlaceCount) => opcode === "ld.shared.u16";

function conflicts({ places }: CounterReport): string[] {
  return places.filter((place) => (place.shared?.factor ?? 1) > 1 && !isBehindLoop(place))
    .map(({ opcode, shared, source }) => `${opcode} ${shared?.factor} ${source[0]?.line}`);
}

/** Sectors that whole requests need, of those that were moved. */
function useful({ places }: CounterReport, kind: "ld" | "st"): number {
  let [needed, moved] = [0, 0];
  for (const { opcode, global } of places) {
    if (global === undefined || opcode.startsWith("st") !== (kind === "st")) continue;
    needed += global.requests * Math.ceil(global.bytes / global.requests / 32);
    moved += global.sectors;
  }
  return moved === 0 ? 1 : needed / moved;
}

for (const draft of [...PRODUCTS, ...OTHERS]) {
  cudaTest(`cuda: ${draft.op} moves whole sectors, without bank conflicts`, async () => {
    const { engine } = await runCases([makeCase(draft, 3)]);
    for (const { kernel, entry, counters } of engine.launches) {
      const name = `${kernel}${entry}`;
      assert.deepEqual(conflicts(counters), [], name);
      if (PRODUCTS.includes(draft)) {
        const { efficiency } = counters.globalReads;
        assert.ok(efficiency >= 0.9, `${name}: ${efficiency} of the sectors read are asked for`);
      }
      for (const kind of ["ld", "st"] as const) {
        const share = useful(counters, kind);
        assert.ok(share >= 0.9, `${name}: ${kind} needs ${share} of its sectors`);
      }
    }
  });
}
