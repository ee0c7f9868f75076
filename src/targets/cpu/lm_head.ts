/**
 * What the kernels of lm_head_loss share: two products over a chunk of rows, one that makes logits and one that makes dx of them.
 * @module
 */
import { roundUp } from "../calls.ts";
import type { Isa, KernelCall, Tunables } from "../target.ts";
import {
  dimOf,
  inTiles,
  packedRows,
  type Product,
  takesPairs,
  TILE_ROWS,
  type Tiles,
  tilesOf,
} from "./gemm_tiles.ts";
import type { PredictOptions } from "./predict.ts";
import { predictSteps } from "./product_kernel.ts";

/** Sizes of a chunk, of its workspace, and of the products' tiles. */
export interface HeadLayout {
  /** Of a chunk. */
  readonly rows: number;
  /** Floats from one row of logits to the next: an odd number of cache lines, so that rows spread over the sets of a cache. */
  readonly stride: number;
  /** Floats of the chosen rows of x: as they are, or packed for the logits' product where it takes pairs. */
  readonly gathered: number;
  readonly logits: Tiles;
  readonly dx: Tiles;
  /** Whether both products work in tile registers. */
  readonly tiles: boolean;
  /** Bytes of a thread's packed operands, in front of its list of rows. */
  readonly packed: number;
  readonly perThread: number;
  /** Bytes of gathered rows and of logits. */
  readonly shared: number;
}

/**
 * The tiles of dx; their slices of k are slices of the vocabulary.
 * @param call The call
 * @param values `rows`, and the sizes of dx's product
 * @param isa The instruction set
 */
export function dxTiles(call: KernelCall, values: Tunables, isa: Isa): Tiles {
  return tilesOf(dxProduct(call, values, isa), values, isa);
}

/** Whether a call's products take pairs of bf16. Where W is trained it is float32, and its own gradient takes rows of x as they are. */
function headTakesPairs(call: KernelCall, isa: Isa): boolean {
  return call.node.outputs.dweight === undefined && takesPairs(call, isa);
}

/**
 * The product of a chunk that makes dx.
 * @param call The call
 * @param values `rows`
 * @param isa The instruction set
 */
export function dxProduct(call: KernelCall, values: Tunables, isa: Isa): Product {
  const [D, V] = ["D", "V"].map((name) => dimOf(call, name));
  return { m: rowsOf(call, values), n: D, k: V, pairs: headTakesPairs(call, isa) };
}

/**
 * Rows of a chunk.
 * @param call The call
 * @param values `rows`
 */
export function rowsOf(call: KernelCall, { rows }: Tunables): number {
  return Math.min(dimOf(call, "T"), Number(rows));
}

/**
 * The layout of a chunk.
 * @param call The call
 * @param values `rows`, sizes of dx's product, `logits_X` of the other
 * @param options Instruction set; logits of a row at a time; bytes of packed operands of other products
 */
export function headLayout(
  call: KernelCall,
  values: Tunables,
  { isa, wide, others = 0 }: { readonly isa: Isa; readonly wide: number; readonly others?: number },
): HeadLayout {
  const [T, D] = ["T", "D"].map((name) => dimOf(call, name));
  const rows = rowsOf(call, values);
  const dx = dxTiles(call, values, isa);
  const { logits_kc: kc, logits_mc: mc, logits_nc: nc } = values;
  const pairs = headTakesPairs(call, isa);
  const product = { m: rows, n: wide, k: D, pairs, whole: pairs };
  const logits = tilesOf(product, { ...values, kc, mc, nc }, isa);
  const lines = Math.ceil(wide / 16);
  const stride = 16 * (lines % 2 === 0 ? lines + 1 : lines);
  const packed = Math.max(logits.scratch, dx.scratch, others);
  const gathered = pairs ? packedRows(rows, logits) : roundUp(rows * D, 16);
  return {
    ...{ rows, stride, gathered, logits, dx, packed },
    perThread: packed + roundUp(4 * T, 64),
    // Tile registers load whole tiles of rows.
    shared: 4 * (gathered + roundUp(rows, TILE_ROWS) * stride),
    tiles: inTiles(product, isa),
  };
}

/**
 * Seconds of both products of a chunk.
 * @param call The call
 * @param layout Its layout
 * @param on Instruction set, machine, bytes
 */
export function headSeconds(call: KernelCall, layout: HeadLayout, on: PredictOptions): number {
  const [D, V] = ["D", "V"].map((name) => dimOf(call, name));
  const { rows: m, logits, dx } = layout;
  const pairs = headTakesPairs(call, on.isa);
  return predictSteps({ m, n: V, k: D, pairs }, logits, on) +
    predictSteps({ m, n: D, k: V, pairs }, dx, on);
}
