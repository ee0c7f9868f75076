import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { courseOf, learningRateAt } from "../../src/train/schedule.ts";

const cosine = { kind: "cosine", warmup: 0.2, floor: 0.1 } as const;
const constant = { kind: "constant", warmup: 0, floor: 0 } as const;

Deno.test("learningRateAt() is constant from the first step without warm-up", () => {
  for (const step of [1, 5, 10]) {
    equal(learningRateAt(step, { steps: 10, learningRate: 3, schedule: constant }), 3);
  }
});

Deno.test("learningRateAt() climbs in equal steps, then falls by half a cosine", () => {
  const rates = Array.from(
    { length: 10 },
    (_, i) => learningRateAt(i + 1, { steps: 10, learningRate: 1, schedule: cosine }),
  );
  deepEqual(rates.slice(0, 3), [0.5, 1, 1]);
  // step 7 is half way: index 6, (6 - 2) / 8
  ok(Math.abs(rates[6] - (0.1 + 0.9 / 2)) < 1e-12);
  ok(rates[9] > 0.1 && rates[9] < 0.2);
});

Deno.test("learningRateAt() stays between floor and peak, and never rises after warm-up", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(fc.property(fc.integer({ min: 1, max: 200 }), share, share, (steps, warmup, floor) => {
    let before = Infinity;
    for (let step = 1; step <= steps; step++) {
      const rate = learningRateAt(step, {
        steps,
        learningRate: 1,
        schedule: { kind: "cosine", warmup, floor },
      });
      ok(rate > 0 || (floor === 0 && rate >= 0));
      ok(rate <= 1 + 1e-12);
      if (step <= Math.ceil(warmup * steps)) continue;
      ok(rate <= before + 1e-12 && rate >= floor - 1e-12);
      before = rate;
    }
  }));
});

Deno.test("learningRateAt() of linear falls in a line, after a warm-up counted in steps", () => {
  const schedule = { kind: "linear", warmup: 0.5, floor: 0, warmupSteps: 2 } as const;
  const rates = Array.from(
    { length: 10 },
    (_, i) => learningRateAt(i + 1, { steps: 10, learningRate: 8, schedule }),
  );
  deepEqual(rates, [4, 8, 8, 7, 6, 5, 4, 3, 2, 1]);
});

Deno.test("learningRateAt() of wsd stays, then falls in a line over the last fifth", () => {
  const schedule = { kind: "wsd", warmup: 0.1, floor: 0.5 } as const;
  const rates = Array.from(
    { length: 20 },
    (_, i) => learningRateAt(i + 1, { steps: 20, learningRate: 8, schedule }),
  );
  deepEqual(rates, [4, ...Array(15).fill(8), 8, 7, 6, 5]);
});

Deno.test("courseOf() lets another shape fall from a constant rate, and keeps a floor that was meant", () => {
  const flat = { kind: "constant", warmup: 0.1, floor: 1 } as const;
  deepEqual(courseOf(flat), flat);
  deepEqual(courseOf(flat, { kind: "linear" }), { kind: "linear", warmup: 0.1, floor: 0 });
  deepEqual(courseOf(flat, { kind: "wsd", floor: 0.5 }), { kind: "wsd", warmup: 0.1, floor: 0.5 });
  deepEqual(courseOf(cosine, { kind: "linear" }), { kind: "linear", warmup: 0.2, floor: 0.1 });
});
