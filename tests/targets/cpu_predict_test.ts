/**
 * Predicted time of products: what must cost more is predicted to cost more.
 * @module
 */
import assert from "node:assert/strict";
import { tilesOf } from "../../src/targets/cpu/gemm_tiles.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { predictProduct } from "../../src/targets/cpu/predict.ts";
import { predictSteps } from "../../src/targets/cpu/product_kernel.ts";
import { BACKWARD, FORWARD, predictAttention } from "../../src/targets/cpu/predict_attention.ts";
import type { Tunables } from "../../src/targets/target.ts";
import { MACHINE } from "../tune/support.ts";

const GOOD: Tunables = { mr: 6, nv: 2, kc: 256, mc: 96, nc: 384, slice: 0 };
const SHAPE = { m: 1920, n: 1536, k: 512 };

function predicted(values: Tunables = {}, shape: Partial<typeof SHAPE> = {}, bytes = 0): number {
  const isa = ISAS.avx2;
  const product = { ...SHAPE, ...shape };
  const tiles = tilesOf(product, { ...GOOD, ...values }, isa);
  return predictProduct(product, tiles, { isa, machine: MACHINE, bytes });
}

Deno.test("a product is predicted near its peak, and never below its traffic", () => {
  const ideal = 2 * SHAPE.m * SHAPE.n * SHAPE.k / MACHINE.flopsPerSecond;
  assert.ok(predicted() > ideal && predicted() < 1.25 * ideal, `${predicted() / ideal}`);
  assert.equal(predicted({}, {}, 1e12), 1e12 / MACHINE.bytesPerSecond);
});

Deno.test("waste is predicted: edges, small register tiles, cut sums, panels beyond the caches", () => {
  // 1921 rows need another strip of 6 a thread; 1537 columns another panel of 16.
  assert.ok(predicted({}, { m: 1921 }) > predicted());
  assert.ok(predicted({}, { m: 1921 }) <= predicted({}, { m: 1932 }));
  assert.ok(predicted({}, { n: 1537 }) > predicted());
  assert.ok(predicted({ mr: 4, nv: 1 }) > 1.1 * predicted());
  assert.ok(predicted({ kc: 128 }) > predicted(), "four passes over C cost more than two");
  assert.ok(predicted({ kc: 512, nv: 4, mr: 2 }) > predicted({ kc: 512, nv: 2, mr: 6 }));
  assert.ok(predicted({ nc: 64 }) > predicted(), "A is packed for every slab of columns");
});

const IN_TILES: Tunables = { mr: 32, nv: 1, kc: 1536, mc: 32, nc: 768, unroll: 1, slice: 320 };

function inTiles(values: Tunables = {}): number {
  const isa = ISAS.amx_bf16;
  const product = { ...SHAPE, pairs: true, whole: true };
  const tiles = tilesOf(product, { ...IN_TILES, ...values }, isa);
  return predictSteps(product, tiles, { isa, machine: MACHINE, bytes: 0 });
}

Deno.test("in tile registers it is predicted what an L1 cache holds: rows, or a panel, or neither", () => {
  assert.ok(inTiles({ slice: 0, mr: 16, nv: 3, mc: 96 }) > 1.1 * inTiles(), "k as a whole");
  assert.ok(inTiles({ slice: 160 }) > inTiles(), "sums that rest often");
  assert.ok(inTiles({ mr: 16, mc: 16 }) > inTiles(), "few rows for each tile of B");
  const panels = { mr: 16, nv: 3, mc: 96 };
  assert.ok(inTiles({ ...panels, slice: 0 }) > inTiles({ ...panels, slice: 224 }));
});

const HEADS = { tokens: 2048, seqLen: 512, heads: 9, group: 3, headDim: 64, lanes: 8 };
const ATTENDING = { queryTile: 64, keyTile: 96, rows: 6, vectors: 2, inTiles: false };

function attending(sizes: Partial<typeof HEADS & typeof ATTENDING> = {}, bytes = 0): number {
  const all = { ...HEADS, ...ATTENDING, ...sizes };
  return predictAttention(all, FORWARD, { machine: MACHINE, bytes });
}

Deno.test("attention is predicted near its peak, and never below its traffic", () => {
  const { tokens, seqLen, heads, headDim } = HEADS;
  const ideal = 4 * tokens * (seqLen + 1) / 2 * heads * headDim / MACHINE.flopsPerSecond;
  assert.ok(attending() > ideal && attending() < 2 * ideal, `${attending() / ideal}`);
  assert.equal(attending({}, 1e12), 1e12 / MACHINE.bytesPerSecond);
});

Deno.test("attention's waste is predicted: few sums, wide panels at the diagonal, many copies, more products", () => {
  assert.ok(attending({ rows: 4, vectors: 1 }) > 1.1 * attending());
  assert.ok(
    attending({ keyTile: 48, rows: 3, vectors: 4 }) > attending({ keyTile: 48 }),
    "scores behind the diagonal",
  );
  assert.ok(
    attending({ queryTile: 16 }) > attending(),
    "keys are copied for every tile of queries",
  );
  const inTiles = (keyTile: number) => attending({ inTiles: true, keyTile });
  assert.ok(inTiles(64) > 1.02 * inTiles(256), "in tile registers what is around products counts");
  const [forward, backward] = [FORWARD, BACKWARD].map((pass) =>
    predictAttention({ ...HEADS, ...ATTENDING }, pass, { machine: MACHINE, bytes: 0 })
  );
  assert.ok(backward > 2 * forward && backward < 3 * forward, `${backward / forward}`);
});
