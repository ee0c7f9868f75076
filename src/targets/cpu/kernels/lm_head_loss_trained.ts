/**
 * lm_head_loss of a W that is trained: cross-entropy and its gradients for a chunk of supervised rows at a time, so that no [T, vocab]
 * tensor exists. W's own gradient takes finished probabilities, so all logits of a chunk are there at once.
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
import { costText, roundUp } from "../../calls.ts";
import { predictSteps } from "../product_kernel.ts";
import type { Isa, Kernel, KernelCall, Machine, Tunables } from "../../target.ts";

/** losses = -log softmax(x Wᵀ)[target]; dx = dz W; dweight += dzᵀ x, with dz = (softmax - onehot) loss_scale. */
export const lmHeadLossTrained: Kernel = {
  name: "lm_head_loss_trained",
  serves: {
    roots: ["lm_head_loss"],
    epilogue: [],
    only: ({ outputs }) => outputs.dweight !== undefined,
  },
  /**
   * `rows`: rows of a chunk, each with `vocab` logits. `mc`, `nc`, `kc` are of the products with dz, `logits_X` of the one
   * that makes the logits.
   */
  tunables: {
    ...TILE_TUNABLES,
    logits_kc: [192, 256, 384, 512, 768, 1024, 1536],
    logits_mc: [24, 48, 96, 132, 192, 264, 516],
    logits_nc: [32, 64, 96, 192, 384],
    rows: [32, 64, 96, 128, 192, 256, 384, 512],
  },
  /**
   * dx takes all columns at once where they are few, so that logits come from memory once, and short slices of the
   * vocabulary. The logits take a few columns of W and many rows at a time, since the rows of x stay in the caches.
   */
  defaults: (call, isa) => ({
    ...defaultTiles({ m: dimOf(call, "T"), n: dimOf(call, "D"), k: dimOf(call, "V") }, isa),
    kc: takesPairs(call, isa) ? 1024 : 512,
    mc: 48,
    nc: dimOf(call, "D") <= 576 ? 576 : 768,
    logits_kc: 768,
    logits_mc: 132,
    logits_nc: 96,
    rows: 256,
  }),
  legal: tilesFit,
  traffic,
  predict,
  workspace(call, values, isa) {
    const layout = layoutOf(call, values, isa);
    return { perThread: layout.perThread, shared: layout.shared };
  },
  context(call, values, isa) {
    const { flops, bytes } = traffic(call);
    const layout = layoutOf(call, values, isa);
    const pairs = takesPairs(call, isa);
    return { ...layout, pairs, cost: costText(flops, bytes) };
  },
};

/** What the template is told. */
interface Layout {
  readonly rows: number;
  /** Floats from one row of logits to the next: an odd number of cache lines, so that rows spread over the sets of a cache. */
  readonly stride: number;
  readonly logits: Tiles;
  readonly dx: Tiles;
  readonly dweight: Tiles;
  /** Bytes of a thread's packed operands, in front of its list of rows. */
  readonly packed: number;
  readonly perThread: number;
  readonly shared: number;
}

function layoutOf(call: KernelCall, values: Tunables, isa: Isa): Layout {
  const T = dimOf(call, "T");
  const D = dimOf(call, "D");
  const V = dimOf(call, "V");
  const rows = Math.min(T, Number(values.rows));
  const lines = Math.ceil(V / 16);
  const stride = 16 * (lines % 2 === 0 ? lines + 1 : lines);
  const { logits_kc, logits_mc: mc, logits_nc: nc } = values;
  const pairs = takesPairs(call, isa);
  const logits = tilesOf({ m: rows, n: V, k: D, pairs }, { ...values, kc: logits_kc, mc, nc }, isa);
  const dx = tilesOf({ m: rows, n: D, k: V, pairs }, values, isa);
  const dweight = tilesOf({ m: V, n: D, k: rows }, values, isa);
  const packed = Math.max(logits.scratch, dx.scratch, dweight.scratch);
  return {
    rows,
    stride,
    logits,
    dx,
    dweight,
    packed,
    perThread: packed + roundUp(4 * T, 64),
    shared: roundUp(4 * rows * D, 64) + 4 * rows * stride,
  };
}

/** The products of a chunk of rows, for all chunks. */
function predict(
  call: KernelCall,
  values: Tunables,
  { isa, machine }: { readonly isa: Isa; readonly machine: Machine },
): number {
  const [T, D, V] = ["T", "D", "V"].map((name) => dimOf(call, name));
  const { rows, logits, dx, dweight } = layoutOf(call, values, isa);
  const bytes = operandBytes(call) * rows / T + 2 * 4 * rows * V;
  const at = { isa, machine, bytes };
  const pairs = takesPairs(call, isa);
  const chunk = predictSteps({ m: rows, n: V, k: D, pairs }, logits, at) +
    predictSteps({ m: rows, n: D, k: V, pairs }, dx, at) +
    predictSteps({ m: V, n: D, k: rows }, dweight, at);
  return Math.ceil(T / rows) * chunk;
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  const T = dimOf(call, "T");
  const V = dimOf(call, "V");
  return {
    flops: 3 * 2 * T * dimOf(call, "D") * V,
    bytes: operandBytes(call) + 3 * 2 * 4 * T * V,
  };
}
