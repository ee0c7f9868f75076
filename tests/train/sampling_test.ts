/**
 * Which tokens can be drawn, on distributions worked out by hand.
 * @module
 */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { distribution, Sampler, type SamplingOptions } from "../../src/train/sampling.ts";

/** Probabilities 0.1, 0.6, 0.3. */
const THREE = Float32Array.of(Math.log(1), Math.log(6), Math.log(3));

function drawn(options: SamplingOptions, text: readonly number[] = []): [number, number][] {
  return distribution(THREE, text, { temperature: 1, ...options })
    .map(({ id, probability }): [number, number] => [id, Number(probability.toFixed(6))])
    .sort((a, b) => a[0] - b[0]);
}

Deno.test("without filters every token has its probability", () => {
  deepEqual(drawn({}), [[0, 0.1], [1, 0.6], [2, 0.3]]);
});

Deno.test("a temperature of 1/2 squares probabilities", () => {
  // 1, 36, 9 of 46
  deepEqual(drawn({ temperature: 0.5 }), [[0, 0.021739], [1, 0.782609], [2, 0.195652]]);
});

Deno.test("top-k keeps the k likeliest, top-p the fewest that reach the share, min-p by the likeliest's", () => {
  deepEqual(drawn({ topK: 2 }), [[1, 0.666667], [2, 0.333333]]);
  deepEqual(drawn({ topK: 5 }), drawn({}));
  deepEqual(drawn({ topP: 0.7 }), [[1, 0.666667], [2, 0.333333]]);
  deepEqual(drawn({ topP: 0.59 }), [[1, 1]]);
  deepEqual(drawn({ minP: 0.4 }), [[1, 0.666667], [2, 0.333333]]);
  deepEqual(drawn({ minP: 0.51 }), [[1, 1]]);
  // Of the two that top-k leaves, the first alone has 2/3.
  deepEqual(drawn({ topK: 2, topP: 0.65 }), [[1, 1]]);
});

Deno.test("a repetition penalty divides positive logits and multiplies negative ones, once a token", () => {
  const logits = Float32Array.of(2, -1, 0);
  const [zero, one, two] = [Math.exp(1), Math.exp(-2), 1];
  const total = zero + one + two;
  const found = distribution(logits, [0, 1, 0, 1], { temperature: 1, repetitionPenalty: 2 });
  for (const { id, probability } of found) {
    ok(Math.abs(probability - [zero, one, two][id] / total) < 1e-6, `token ${id}: ${probability}`);
  }
});

Deno.test("a seed always draws the same, and many draws meet the probabilities", () => {
  const draws = (seed: number, count: number) => {
    const sampler = new Sampler({ temperature: 1, seed });
    return Array.from({ length: count }, () => sampler.next(THREE, []));
  };
  deepEqual(draws(7, 20), draws(7, 20));
  ok(draws(7, 20).join() !== draws(8, 20).join());
  const counts = [0, 0, 0];
  draws(1, 4000).forEach((id) => counts[id]++);
  // Four standard deviations of a share from 4,000 draws are at most 0.032.
  counts.forEach((count, id) => ok(Math.abs(count / 4000 - [0.1, 0.6, 0.3][id]) < 0.032));
});

Deno.test("temperature 0 takes the best, the lowest of several; logits that are no numbers are refused", () => {
  equal(new Sampler().next(Float32Array.of(1, 3, 3), []), 1);
  throws(() => new Sampler().next(Float32Array.of(1, NaN), []), { code: "weights-mismatch" });
});
