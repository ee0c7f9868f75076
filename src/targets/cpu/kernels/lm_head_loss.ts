/**
 * lm_head_loss of a frozen W: cross-entropy and its gradient, a slice of the vocabulary at a time for many supervised rows, so that logits
 * never leave the caches and W is packed once for all of those rows.
 * @module
 */
import {
  defaultTiles,
  dimOf,
  operandBytes,
  takesPairs,
  TILE_TUNABLES,
  type Tiles,
  tilesFit,
  tilesOf,
} from "../gemm_tiles.ts";
import { must } from "../../../errors.ts";
import { bytesOf } from "../../../graph/graph.ts";
import { costText, operandOf, roundUp } from "../../calls.ts";
import { predictSteps } from "../product_kernel.ts";
import type { Isa, Kernel, KernelCall, Machine, Tunables } from "../../target.ts";

/** losses = -log softmax(x Wᵀ)[target]; dx = (softmax - onehot) W loss_scale. */
export const lmHeadLoss: Kernel = {
  name: "lm_head_loss",
  serves: {
    roots: ["lm_head_loss"],
    epilogue: [],
    only: ({ outputs }) => outputs.dweight === undefined,
  },
  /**
   * `rows`: how many go through the vocabulary together. `kc`, `mc`, `nc` are of the product that makes dx, `logits_X` of the one that
   * makes logits; `logits_kib`: of these at a time, where one slice of the k of dx is not more. `few`: rows of a thread below which threads divide the steps.
   */
  tunables: {
    ...TILE_TUNABLES,
    logits_kc: [192, 256, 384, 512, 768, 1024, 1536],
    logits_mc: [12, 24, 48, 96, 132, 192],
    logits_nc: [64, 96, 192, 256, 384, 512],
    logits_kib: [16, 1024, 4096, 16384],
    rows: [128, 256, 512, 1024, 2048, 4096],
    few: [6, 64, 256],
  },
  defaults: (call, isa) => ({
    ...defaultTiles({ m: dimOf(call, "T"), n: dimOf(call, "D"), k: dimOf(call, "V") }, isa),
    kc: takesPairs(call, isa) ? 1024 : 512,
    mc: 48,
    nc: dimOf(call, "D") <= 576 ? 576 : 768,
    logits_kc: 768,
    logits_mc: 24,
    logits_nc: 256,
    logits_kib: 4096,
    rows: 2048,
    few: 64,
  }),
  legal: tilesFit,
  traffic,
  predict,
  workspace(call, values, isa) {
    const layout = layoutOf(call, values, isa);
    return { perThread: layout.perThread, shared: layout.shared };
  },
  context(call, values, isa) {
    const { flops, bytes } = traffic(call, values);
    const layout = layoutOf(call, values, isa);
    const pairs = takesPairs(call, isa);
    return { ...layout, few: Number(values.few), pairs, cost: costText(flops, bytes) };
  },
};

/** What the template is told. */
interface Layout {
  readonly rows: number;
  /** Values of the vocabulary that are taken at a time: whole slices of the k of dx. */
  readonly slice: number;
  /** Floats from one row of logits to the next: an odd number of cache lines, so that rows spread over the sets of a cache. */
  readonly stride: number;
  readonly logits: Tiles;
  readonly dx: Tiles;
  /** Bytes of a thread's packed operands, in front of its list of rows. */
  readonly packed: number;
  readonly perThread: number;
  readonly shared: number;
}

/** Floats that are known of a row's logits: the largest, the sum, the target's. */
const KNOWN = 3;

function layoutOf(call: KernelCall, values: Tunables, isa: Isa): Layout {
  const T = dimOf(call, "T");
  const D = dimOf(call, "D");
  const rows = Math.min(T, Number(values.rows));
  const pairs = takesPairs(call, isa);
  const dx = tilesOf({ m: rows, n: D, k: dimOf(call, "V"), pairs }, values, isa);
  const slices = Math.floor(1024 * Number(values.logits_kib) / (4 * rows * dx.kc));
  const slice = dx.kc * Math.max(1, slices);
  const lines = Math.ceil(slice / 16);
  const stride = 16 * (lines % 2 === 0 ? lines + 1 : lines);
  const { logits_kc, logits_mc: mc, logits_nc: nc } = values;
  const logits = tilesOf(
    { m: rows, n: slice, k: D, pairs },
    { ...values, kc: logits_kc, mc, nc },
    isa,
  );
  const packed = Math.max(logits.scratch, dx.scratch);
  return {
    ...{ rows, slice, stride, logits, dx, packed },
    perThread: packed + roundUp(4 * T, 64),
    shared: roundUp(4 * rows * D, 64) + roundUp(4 * rows * stride, 64) + 4 * KNOWN * rows,
  };
}

/** The two products, for all rows. */
function predict(
  call: KernelCall,
  values: Tunables,
  { isa, machine }: { readonly isa: Isa; readonly machine: Machine },
): number {
  const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
  const { rows, logits, dx } = layoutOf(call, values, isa);
  const at = { isa, machine, bytes: operandBytes(call) * rows / T };
  const pairs = takesPairs(call, isa);
  const pass = predictSteps({ m: rows, n: V, k: D, pairs }, logits, at) +
    predictSteps({ m: rows, n: D, k: V, pairs }, dx, at);
  return Math.ceil(T / rows) * pass;
}

/** Each pass over the vocabulary reads W for the logits; for dx it is still in the caches. */
function traffic(call: KernelCall, { rows }: Tunables): { flops: number; bytes: number } {
  const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
  const again = Math.ceil(T / Number(rows)) - 1;
  const weight = bytesOf(must(operandOf(call, "weight"), "weight"));
  return { flops: 2 * 2 * T * D * V, bytes: operandBytes(call) + again * weight };
}
