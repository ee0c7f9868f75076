/**
 * linear_backward_weight, paca_linear_backward_delta: a parameter's gradient, summed over all tokens and added to.
 * PaCA's few columns take another way than a whole weight: nothing of dy is packed (native/cpu/gemm_thin.hpp), or its rows are only
 * joined to pairs where there are tile registers.
 * @module
 */
import type { Isa, Kernel, KernelCall, Tunables } from "../../target.ts";
import { dimOf, type Product, type Tiles, tilesOf } from "../gemm_tiles.ts";
import { operandOf, roundUp } from "../../calls.ts";
import { productKernel } from "../product_kernel.ts";

const product = productKernel("linear_backward_weight", {
  roots: ["linear_backward_weight", "paca_linear_backward_delta"],
  product: productOf,
});

/** dweight[O,K] += dyᵀ x, or ddelta[O,R] += scale dyᵀ x_p. */
export const linearBackwardWeight: Kernel = {
  ...product,
  defaults: (call, isa) => isDelta(call) ? thinDefaults(call, isa) : product.defaults(call, isa),
  workspace: (call, values, isa) => ({ perThread: tilesFor(call, values, isa).scratch, shared: 0 }),
  context: (call, values, isa) => ({
    ...product.context(call, values, isa),
    tiles: tilesFor(call, values, isa),
    paca: isDelta(call),
    in_tiles: isInTiles(call, isa),
    columns: productOf(call).n,
  }),
};

/** Three vectors of dy a step where they fit; few tokens at a time, so that a panel of dy stays in the L1 cache. */
function thinDefaults(call: KernelCall, isa: Isa): Tunables {
  const common = { mc: 12, slice: 0 };
  if (isInTiles(call, isa)) {
    return { ...common, mr: 8, nv: 3, kc: 64, nc: 384, unroll: 1, fetch: 0 };
  }
  const registerTile = isa.registers < 32
    ? (isa.lanes < 8 ? { mr: 4, nv: 2 } : { mr: 4, nv: 3 })
    : { mr: 8, nv: 3 };
  return { ...common, ...registerTile, kc: 64, nc: 576, unroll: 4, fetch: 1 };
}

/** Tiles; of a thin gradient kc counts tokens, nc outputs (both the other way round than in the product), mc nothing. */
function tilesFor(call: KernelCall, values: Tunables, isa: Isa): Tiles {
  const { m, n, k } = productOf(call);
  if (!isDelta(call)) return tilesOf({ m, n, k }, values, isa);
  if (isInTiles(call, isa)) return thinInTiles(call, values, isa);
  const tiles = tilesOf({ m: n, n: m, k }, values, isa);
  const nr = tiles.nv * isa.lanes;
  return { ...tiles, scratch: roundUp(4 * (n * tiles.nc + tiles.kc * n + tiles.kc * nr), 64) };
}

/** Sizes for native/cpu/gemm_thin_tiles.hpp, of which kc and nc alone matter, in whole blocks. */
function thinInTiles(call: KernelCall, values: Tunables, isa: Isa): Tiles {
  const { m, n, k } = productOf(call);
  const tiles = tilesOf({ m: n, n: m, k }, values, isa);
  const kc = roundUp(tiles.kc, BLOCK), nc = roundUp(tiles.nc, BLOCK);
  const rows = roundUp(n, n > BLOCK / 2 ? BLOCK : BLOCK / 2);
  return {
    ...tiles,
    kc,
    nc,
    scratch: 4 * (rows * nc + roundUp(k, BLOCK) / 2 * rows + kc / 2 * nc),
  };
}

/** Tokens of a step, and columns of two tiles. */
const BLOCK = 32;

/** Whether the gradient of a few columns is taken in tile registers: the activations are stored as bf16. */
function isInTiles(call: KernelCall, isa: Isa): boolean {
  return isDelta(call) && isa.pairs > 1 && operandOf(call, "x_p")?.dtype === "bf16";
}

function productOf(call: KernelCall): Product {
  return { m: dimOf(call, "O"), n: dimOf(call, isDelta(call) ? "R" : "K"), k: dimOf(call, "T") };
}

function isDelta(call: KernelCall): boolean {
  return call.node.op === "paca_linear_backward_delta";
}
