import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { drawColumns, drawNormals, permutation, philox, Random } from "../../src/train/random.ts";

const hex = (words: readonly number[]) =>
  words.map((w) => w.toString(16).padStart(8, "0")).join(" ");

Deno.test("philox() gives the known answers of the Random123 distribution", () => {
  equal(hex(philox([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  const ones = 0xffffffff;
  equal(hex(philox([ones, ones, ones, ones], [ones, ones])), "408f276d 41c83b0e a20bc7c6 6d5451fd");
  equal(
    hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

Deno.test("Random depends on the seed's upper half and on the name", () => {
  const first = (seed: number, name: string) => new Random(seed, name).word();
  const words = [first(1, "a"), first(1, "b"), first(1 + 2 ** 32, "a"), first(2, "a")];
  equal(new Set(words).size, 4);
  equal(first(1, "a"), words[0]);
});

Deno.test("drawColumns() gives different sorted columns, the same each time", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.string(),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(40),
      (seed, module, rank, more) => {
        const inFeatures = rank + more;
        const columns = drawColumns(seed, module, { inFeatures, rank });
        equal(columns.length, rank);
        for (let i = 0; i < rank; i++) {
          ok(
            columns[i] >= 0 && columns[i] < inFeatures && (i === 0 || columns[i] > columns[i - 1]),
          );
        }
        deepEqual(drawColumns(seed, module, { inFeatures, rank }), columns);
      },
    ),
  );
});

Deno.test("drawColumns() takes every column equally often", () => {
  const counts = new Float64Array(10);
  for (let seed = 0; seed < 4000; seed++) {
    for (const c of drawColumns(seed, "m", { inFeatures: 10, rank: 3 })) counts[c]++;
  }
  // 4000 · 3/10 = 1200, standard deviation 29
  for (const count of counts) ok(Math.abs(count - 1200) < 150, `${counts}`);
});

Deno.test("drawColumns() stays what it was: adapters of old runs can be made again", () => {
  deepEqual(
    [...drawColumns(0, "model.layers.0.mlp.down_proj", { inFeatures: 1536, rank: 4 })],
    PINNED,
  );
});
const PINNED: number[] = [361, 499, 763, 1400];

Deno.test("permutation() has every number once, and another order for another name", () => {
  deepEqual([...permutation(1, "epoch 0", 50)].sort((a, b) => a - b), [...Array(50).keys()]);
  notDeepEqual(permutation(1, "epoch 0", 50), permutation(1, "epoch 1", 50));
});

Deno.test("drawNormals() has the mean, deviation and tails of a normal distribution", () => {
  const n = 20001;
  const values = drawNormals(3, "w", { length: n, deviation: 2 });
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
  const beyond = values.filter((x) => Math.abs(x) > 4).length / n;
  ok(
    Math.abs(mean) < 0.06 && Math.abs(variance - 4) < 0.2 && Math.abs(beyond - 0.0455) < 0.006,
    `${mean} ${variance} ${beyond}`,
  );
});
