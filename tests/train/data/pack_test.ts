import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import type { Document } from "../../../src/train/data/document.ts";
import { pack, type PackedData } from "../../../src/train/data/pack.ts";
import { RowOrder, takeRows } from "../../../src/train/data/order.ts";

/** Documents whose tokens are unlike any other document's: id = number · 1000 + position. */
const documents = fc.array(
  fc.array(fc.boolean(), { minLength: 1, maxLength: 24 }),
  { minLength: 1, maxLength: 30 },
).map((masks): Document[] =>
  masks.map((mask, d) => ({
    ids: Int32Array.from(mask, (_, t) => d * 1000 + t),
    supervised: Uint8Array.from(mask, Number),
  }))
);
const trainable = (d: Document, seqLen: number) =>
  d.supervised.slice(1, seqLen).some((s) => s === 1);

/** The stretches of equal segment in each row. */
function stretches({ rows, seqLen, segmentIds, inputIds, labels }: PackedData) {
  const found: { ids: number[]; labels: number[] }[] = [];
  for (let row = 0; row < rows; row++) {
    for (let t = row * seqLen; t < (row + 1) * seqLen; t++) {
      if (segmentIds[t] < 0) continue;
      if (t === row * seqLen || segmentIds[t - 1] !== segmentIds[t]) {
        found.push({ ids: [], labels: [] });
      }
      found[found.length - 1].ids.push(inputIds[t]);
      found[found.length - 1].labels.push(labels[t]);
    }
  }
  return found;
}

for (const strategy of ["best-fit", "sequential", "buckets"] as const) {
  Deno.test(`pack() keeps every trainable document whole, once, apart, with its mask (${strategy})`, () => {
    fc.assert(fc.property(documents, fc.integer({ min: 2, max: 48 }), (given, seqLen) => {
      const kept = given.filter((d) => trainable(d, seqLen));
      fc.pre(kept.length > 0);
      const packed = pack(given, { seqLen, strategy, padId: 7 });
      const expected = kept.map(({ ids, supervised }) => ({
        ids: [...ids.slice(0, seqLen)],
        labels: [...ids.slice(0, seqLen)].map((id, t) => t > 0 && supervised[t] === 1 ? id : -100),
      }));
      const byFirst = (a: { ids: number[] }, b: { ids: number[] }) => a.ids[0] - b.ids[0];
      const found = stretches(packed);
      deepEqual(strategy === "sequential" ? found : found.toSorted(byFirst), expected);
      packed.segmentIds.forEach((segment, t) => {
        if (segment < 0) deepEqual([packed.inputIds[t], packed.labels[t]], [7, -100]);
      });
      equal(packed.stats.tokens, packed.segmentIds.filter((s) => s >= 0).length);
      equal(packed.stats.supervised, packed.labels.filter((l) => l !== -100).length);
      equal(packed.stats.truncated, kept.filter(({ ids }) => ids.length > seqLen).length);
      equal(packed.stats.dropped, given.length - kept.length);
      deepEqual(pack(given, { seqLen, strategy, padId: 7 }), packed);
    }));
  });
}

Deno.test("pack() by best fit stays within twice the fewest rows possible", () => {
  fc.assert(fc.property(documents, fc.integer({ min: 8, max: 40 }), (given, seqLen) => {
    fc.pre(given.some((d) => trainable(d, seqLen)));
    const { rows, tokens } = pack(given, { seqLen }).stats;
    // The fewest is at least tokens / seqLen; documents above half a row need one each, which also bounds it.
    const long = given.filter((d) => trainable(d, seqLen) && d.ids.length > seqLen / 2).length;
    const bound = Math.max(Math.ceil(tokens / seqLen), long);
    ok(rows <= 2 * bound, `${rows} rows for at least ${bound}`);
  }));
});

Deno.test("pack() finds the perfect fit", () => {
  const document = (length: number): Document => ({
    ids: new Int32Array(length),
    supervised: new Uint8Array(length).fill(1),
  });
  equal(pack([7, 3, 5, 5, 6, 4].map(document), { seqLen: 10 }).stats.efficiency, 1);
});

Deno.test("pack() in buckets pads a document to the smallest half, quarter, … of a row that holds it", () => {
  const document = (length: number): Document => ({
    ids: new Int32Array(length).fill(length),
    supervised: new Uint8Array(length).fill(1),
  });
  const lengths = [64, 5, 33, 17, 16, 32, 2, 70];
  const { rows, inputIds, segmentIds, stats } = pack(lengths.map(document), {
    seqLen: 64,
    strategy: "buckets",
  });
  const placed = Array.from({ length: rows }, (_, row) => {
    const begins = [...segmentIds.subarray(row * 64, (row + 1) * 64).entries()]
      .filter(([t, segment]) =>
        segment >= 0 && (t === 0 || segmentIds[row * 64 + t - 1] !== segment)
      )
      .map(([t]) => t);
    return begins.map((t) => [t, inputIds[row * 64 + t]]);
  });
  deepEqual(placed, [
    [[0, 64]],
    [[0, 33]],
    [[0, 70]],
    [[0, 17], [32, 32]],
    [[0, 5], [16, 16], [32, 2]],
  ]);
  deepEqual([stats.truncated, stats.efficiency], [
    1,
    (64 + 33 + 64 + 17 + 32 + 5 + 16 + 2) / (5 * 64),
  ]);
});

Deno.test("pack() refuses data with nothing to learn", () => {
  const nothing = { ids: Int32Array.of(1, 2), supervised: Uint8Array.of(1, 0) };
  throws(() => pack([nothing], { seqLen: 4 }), {
    code: "data-invalid",
    message: /no document has a token to learn/,
  });
});

Deno.test("RowOrder takes every row once an epoch, in another order each", () => {
  const one = (i: number): Document => ({
    ids: Int32Array.of(i, i),
    supervised: Uint8Array.of(0, 1),
  });
  const data = pack(Array.from({ length: 9 }, (_, i) => one(i)), { seqLen: 2 });
  const order = new RowOrder(data, 1);
  const epochs = [0, 1, 2].map((epoch) =>
    Array.from({ length: 9 }, (_, i) => order.rowAt(epoch * 9 + i))
  );
  for (const epoch of epochs) deepEqual(epoch.toSorted((a, b) => a - b), [...Array(9).keys()]);
  equal(new Set(epochs.map(String)).size, 3);
  equal(order.rowAt(4), epochs[0][4]);
  deepEqual(
    order.batchAt(7, 4),
    takeRows(data, [epochs[0][7], epochs[0][8], epochs[1][0], epochs[1][1]]),
  );
});
