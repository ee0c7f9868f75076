import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import type { ScheduleSettings } from "../../src/train/engine.ts";
import { learningRateAt, planSchedule, SCHEDULES } from "../../src/train/schedule.ts";

/** The rates of a run of so many steps. */
function rates(
  described: ScheduleSettings,
  { steps, peak = 1, stepsPerEpoch = steps, given }: {
    steps: number;
    peak?: number;
    stepsPerEpoch?: number;
    given?: Partial<ScheduleSettings>;
  },
): number[] {
  const schedule = planSchedule(described, { steps, stepsPerEpoch, learningRate: peak, given });
  return Array.from({ length: steps }, (_, i) => learningRateAt(i + 1, schedule));
}

Deno.test("constant is constant from the first step without warm-up, whatever its floor", () => {
  deepEqual(rates({ kind: "constant", warmup: 0, floor: 0 }, { steps: 4, peak: 3 }), [3, 3, 3, 3]);
});

Deno.test("cosine climbs in equal steps, then falls by half a cosine", () => {
  const found = rates({ kind: "cosine", warmup: 0.2, floor: 0.1 }, { steps: 10 });
  deepEqual(found.slice(0, 3), [0.5, 1, 1]);
  // step 7 is half way: index 6, (6 - 2) / 8
  ok(Math.abs(found[6] - (0.1 + 0.9 / 2)) < 1e-12);
  ok(found[9] > 0.1 && found[9] < 0.2);
});

Deno.test("linear falls in a line, after a warm-up counted in steps", () => {
  const described = { kind: "linear", warmup: { steps: 2 }, floor: 0 } as const;
  deepEqual(rates(described, { steps: 10, peak: 8 }), [4, 8, 8, 7, 6, 5, 4, 3, 2, 1]);
});

Deno.test("wsd stays, then falls in a line over the last fifth, or as it is said", () => {
  const described = { kind: "wsd", warmup: 0.1, floor: 0.5 } as const;
  const found = rates(described, { steps: 20, peak: 8 });
  deepEqual(found, [4, ...Array(15).fill(8), 8, 7, 6, 5]);
  const longer = rates({ ...described, decay: { steps: 2 } }, { steps: 20, peak: 8 });
  deepEqual(longer, [4, ...Array(17).fill(8), 8, 6]);
});

Deno.test("epochs are counted in the run's own steps, parts of steps whole", () => {
  const described = {
    kind: "wsd",
    warmup: { epochs: 0.5 },
    floor: 0,
    decay: { epochs: 1 },
  } as const;
  const length = { steps: 12, stepsPerEpoch: 3.5, learningRate: 1 };
  const { warmupSteps, decaySteps } = planSchedule(described, length);
  equal(warmupSteps, 2, "ceil(1.75)");
  equal(decaySteps, 4, "ceil(3.5)");
});

Deno.test("a warm-up ends with the run at the latest, and a decay begins behind it", () => {
  const described = { kind: "wsd", warmup: { steps: 9 }, floor: 0, decay: { steps: 100 } } as const;
  const plan = (steps: number) =>
    planSchedule(described, { steps, stepsPerEpoch: 1, learningRate: 1 });
  deepEqual([plan(6).warmupSteps, plan(6).decaySteps], [6, 0]);
  deepEqual([plan(12).warmupSteps, plan(12).decaySteps], [9, 3]);
});

Deno.test("a run's flags take the place of the description's, field by field", () => {
  const described = { kind: "cosine", warmup: 0.5, floor: 0.25 } as const;
  const length = { steps: 8, stepsPerEpoch: 4, learningRate: 2 };
  deepEqual(planSchedule(described, { ...length, given: { kind: "linear" } }), {
    kind: "linear",
    learningRate: 2,
    steps: 8,
    warmupSteps: 4,
    decaySteps: 4,
    floor: 0.25,
  });
  const { kind, warmupSteps, floor } = planSchedule(described, {
    ...length,
    given: { warmup: { epochs: 0.25 }, floor: 0 },
  });
  deepEqual([kind, warmupSteps, floor], ["cosine", 1, 0]);
});

Deno.test("another shape than a constant one's falls to 0: a floor of 1 was the constant's own", () => {
  const described = { kind: "constant", warmup: 0, floor: 1 } as const;
  deepEqual(rates(described, { steps: 4, peak: 4, given: { kind: "linear" } }), [4, 3, 2, 1]);
  deepEqual(rates(described, { steps: 2, peak: 4, given: { kind: "linear", floor: 0.5 } }), [4, 3]);
});

Deno.test("rates stay between floor and peak, and never rise after warm-up", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const span = fc.oneof(
    share,
    fc.record({ steps: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ epochs: fc.double({ min: 0, max: 5, noNaN: true }) }),
  );
  const described = fc.record({
    kind: fc.constantFrom(...SCHEDULES),
    warmup: span,
    floor: share,
    decay: span,
  });
  const length = fc.record({
    steps: fc.integer({ min: 1, max: 200 }),
    stepsPerEpoch: fc.double({ min: 0.1, max: 100, noNaN: true }),
  });
  fc.assert(fc.property(described, length, (settings, { steps, stepsPerEpoch }) => {
    const schedule = planSchedule(settings, { steps, stepsPerEpoch, learningRate: 1 });
    let before = Infinity;
    for (let step = 1; step <= steps; step++) {
      const rate = learningRateAt(step, schedule);
      ok(rate >= 0 && rate <= 1 + 1e-12);
      if (step <= schedule.warmupSteps) continue;
      ok(rate <= before + 1e-12 && rate >= schedule.floor - 1e-12);
      before = rate;
    }
  }));
});
