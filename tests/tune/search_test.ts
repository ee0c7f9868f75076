/**
 * The search on a measurer with known times and seeded noise.
 * @module
 */
import assert from "node:assert/strict";
import { halve, type Measurer, search } from "../../src/tune/search.ts";
import type { Candidate, Space } from "../../src/tune/space.ts";
import type { Tunables } from "../../src/targets/target.ts";
import { must } from "../../src/errors.ts";
import { median, rankCorrelation, shuffled } from "../../src/tune/statistics.ts";
import { seeded } from "../cases/mod.ts";
import { candidate, plantedKernel } from "./support.ts";

interface Fake extends Measurer {
  /** Candidates prepared, and how often each was timed. */
  readonly prepared: Candidate[];
  readonly timed: Map<Candidate, number>;
}

/** Times by `seconds`, slowed by up to `noise`, on a machine that gets slower with every round. */
function fake(
  seconds: (candidate: Candidate) => number,
  { noise, wrong = () => false }: {
    readonly noise: number;
    readonly wrong?: (candidate: Candidate) => boolean;
  },
): Fake {
  const random = seeded(7);
  const prepared: Candidate[] = [];
  const timed = new Map<Candidate, number>();
  let drift = 1;
  return {
    prepared,
    timed,
    prepare(batch) {
      prepared.push(...batch);
      return Promise.resolve(batch.map((one) => wrong(one) ? "wrong" : undefined));
    },
    time(batch, rounds) {
      const times: number[][] = batch.map(() => []);
      for (let round = 0; round < rounds; round++) {
        drift *= 1.002;
        batch.forEach((one, i) => {
          timed.set(one, (timed.get(one) ?? 0) + 1);
          times[i].push(seconds(one) * drift * (1 + noise * random()));
        });
      }
      return Promise.resolve(times);
    },
  };
}

const numberOf = ({ values }: Candidate) => Number(values.number);

function spaceWith(count: number, predicted = 1e-3): Space {
  const others = Array.from(
    { length: count },
    (_, i) => candidate(i + 1, predicted * (1 + i / count)),
  );
  const numbers = { number: Array.from({ length: count + 1 }, (_, i) => i) };
  const kernel = { ...plantedKernel(["0"]), tunables: numbers };
  const all = [candidate(0, predicted), ...others];
  return { kernel, incumbent: all[0], others, find: ({ number }) => all[Number(number)] };
}

const never = () => false;

Deno.test("halving finds the fastest, and times the slow ones least", async () => {
  const group = [5, 3, 9, 2, 8, 4, 7, 6].map((number) => candidate(number));
  const measurer = fake((one) => 1 + numberOf(one) / 20, { noise: 0.02 });
  const ratios: number[] = [];
  const incumbent = candidate(0);
  const winner = await halve(group, {
    measurer,
    incumbent,
    rounds: 4,
    onRatio: (_, ratio) => ratios.push(ratio),
  });
  assert.ok(winner !== undefined);
  assert.equal(numberOf(winner.candidate), 2);
  assert.ok(Math.abs(winner.ratio - 1.1) < 0.03, `${winner.ratio}`);
  assert.equal(ratios.length, 8);
  assert.equal(measurer.timed.get(group[2]), 4, "the slowest is timed in the first rounds alone");
  assert.ok((measurer.timed.get(winner.candidate) ?? 0) > 4);
});

Deno.test("halving leaves out what can no longer be timed", async () => {
  const [bad, good] = [candidate(1), candidate(2)];
  const measurer = fake(numberOf, { noise: 0 });
  const dropped: Candidate[] = [];
  const winner = await halve([bad, good], {
    measurer: {
      ...measurer,
      time: async (batch, rounds) =>
        (await measurer.time(batch, rounds)).map((times, i) => batch[i] === bad ? [] : times),
    },
    incumbent: candidate(4),
    rounds: 2,
    onDrop: (one) => dropped.push(one),
  });
  assert.deepEqual(dropped, [bad]);
  assert.deepEqual(winner, { candidate: good, ratio: 0.5 });
});

Deno.test("a search finds a better candidate through noise and drift, twice the same", async () => {
  // The best lies where prediction does not look first: beside what turned out well.
  const seconds = (one: Candidate) => 1e-3 * (1 + 0.2 * Math.abs(numberOf(one) - 17) / 17);
  const run = async () => {
    const measurer = fake(seconds, { noise: 0.02 });
    return await search(spaceWith(40), { measurer, seconds: 60, expired: never });
  };
  const found = await run();
  assert.ok(Math.abs(numberOf(found.best) - 17) <= 1, `found ${numberOf(found.best)}`);
  assert.ok(found.gain > 1.15 && found.gain < 1.25, `${found.gain}`);
  assert.equal(numberOf((await run()).best), numberOf(found.best));
});

Deno.test("a search goes along one tunable after another", async () => {
  // Predictions mislead: they put the worst first.
  const tunables = { a: [1, 2, 4, 8, 16], b: [10, 20, 30, 40], c: [0, 1] };
  const cost = ({ a, b, c }: Tunables) =>
    Math.abs(Math.log2(Number(a)) - 3) + Math.abs(Number(b) - 30) / 10 + Number(c);
  const all = tunables.a.flatMap((a) =>
    tunables.b.flatMap((b) => tunables.c.map((c) => ({ a, b, c })))
  ).map((values) => ({ values, text: JSON.stringify(values), predicted: 1 / (1 + cost(values)) }));
  const find = (values: Tunables) => all.find(({ text }) => text === JSON.stringify(values));
  const incumbent = must(find({ a: 1, b: 10, c: 1 }), "the defaults");
  const others = all.filter((one) => one !== incumbent).sort((x, y) => x.predicted - y.predicted);
  const kernel = { ...plantedKernel(["0"]), tunables };
  const measurer = fake(({ values }) => 1e-3 * (1 + cost(values) / 10), { noise: 0.02 });
  const found = await search({ kernel, incumbent, others, find }, {
    measurer,
    seconds: 60,
    expired: never,
  });
  assert.deepEqual(found.best.values, { a: 8, b: 30, c: 0 });
  assert.ok(found.tried < 25, `${found.tried} of ${all.length} candidates were tried`);
});

Deno.test("a search keeps the defaults where nothing beats them by more than noise", async () => {
  const measurer = fake((one) => numberOf(one) === 3 ? 0.995e-3 : 1e-3, { noise: 0.1 });
  const found = await search(spaceWith(20), { measurer, seconds: 60, expired: never });
  assert.equal(numberOf(found.best), 0);
  assert.equal(found.gain, 1);
});

Deno.test("a search drops wrong candidates, however fast", async () => {
  const measurer = fake((one) => numberOf(one) === 2 ? 1e-6 : 1e-3, {
    noise: 0,
    wrong: (one) => numberOf(one) === 2,
  });
  const found = await search(spaceWith(4), { measurer, seconds: 60, expired: never });
  assert.equal(numberOf(found.best), 0);
  assert.deepEqual(found.dropped.map(({ candidate, why }) => [numberOf(candidate), why]), [
    [2, "wrong"],
  ]);
});

Deno.test("a search tunes nothing where the defaults fail, and stops when time is up", async () => {
  const wrong = fake(() => 1, { noise: 0, wrong: (one) => numberOf(one) === 0 });
  const failed = await search(spaceWith(4), { measurer: wrong, seconds: 60, expired: never });
  assert.ok(Number.isNaN(failed.defaultSeconds));
  const late = fake(() => 1e-3, { noise: 0 });
  const found = await search(spaceWith(100), { measurer: late, seconds: 60, expired: () => true });
  assert.equal(found.tried, 8, "one batch");
  const long = await search(spaceWith(100, 3), {
    measurer: fake(() => 3, { noise: 0 }),
    seconds: 60,
    expired: () => true,
  });
  assert.equal(long.tried, 2, "a small one where calls take long");
});

Deno.test("ranks, medians and orders", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.equal(rankCorrelation([[1, 10], [2, 20], [3, 40]]), 1);
  assert.equal(rankCorrelation([[1, 3], [2, 2], [3, 1]]), -1);
  // Ties share ranks: [0, 1.5, 1.5, 3] against [0, 1, 2, 3], 4.5 / sqrt(4.5 · 5).
  assert.ok(Math.abs(rankCorrelation([[1, 1], [2, 2], [2, 3], [3, 4]]) - 0.9486832981) < 1e-9);
  assert.ok(Number.isNaN(rankCorrelation([[1, 1]])));
  for (const count of [1, 2, 7, 360]) {
    const order = [...shuffled(count, 5)];
    assert.deepEqual(order.toSorted((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
  }
  assert.notDeepEqual([...shuffled(50, 1)], [...shuffled(50, 2)]);
});
