/**
 * What comes out of a run's events, whoever wrote them.
 * @module
 */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { PacacError } from "../../src/errors.ts";
import { readHistory } from "../../src/report/history.ts";
import { eventLines, RunFolder } from "./fixture.ts";

Deno.test("events come out by kind, in order, with the time since the run began", () => {
  using run = new RunFolder();
  const { steps, evaluations, samples, planned, end } = readHistory(run.dir);
  deepEqual(steps.map(({ step }) => step), Array.from({ length: 40 }, (_, i) => i + 1));
  deepEqual(steps[3], {
    ...{
      step: 4,
      at: 2,
      loss: 0.75,
      gradNorm: 1.25,
      learningRate: 1e-3 * (1 - 4 / 40),
      tokensPerSecond: 1000,
    },
    ...{ residentBytes: 3e8 + 4, tokens: 500, seconds: 0.5 },
  });
  deepEqual(evaluations.map(({ step, loss }) => [step, loss]), [
    [10, 1.3],
    [20, 1.15],
    [30, 1.1],
    [40, 1.075],
  ]);
  deepEqual(samples.map(({ step, text }) => [step, text.length > 0]), [[0, true], [40, true]]);
  deepEqual([planned, end], [40, "done"]);
});

Deno.test("a pause between an end and going on is no time of the run", () => {
  using run = new RunFolder();
  const lines = eventLines({ steps: 20 });
  const later = eventLines().slice(-20).map((line) => {
    const event = JSON.parse(line);
    return JSON.stringify({ ...event, time: event.time + 86_400_000 });
  });
  const start = { time: 1_700_086_410_000, type: "start", step: 20, steps: 40 };
  run.metrics([...lines, JSON.stringify({ ...start }), ...later]);
  const { steps } = readHistory(run.dir);
  equal(steps[steps.length - 1].step, 40);
  equal(steps[steps.length - 1].at, 20);
});

Deno.test("how a run ended: the last word counts, and going on takes it back", () => {
  using run = new RunFolder();
  const ended = (...more: readonly object[]) => {
    const lines = more.map((event) => JSON.stringify({ time: 1_700_000_020_000, ...event }));
    run.metrics([...eventLines({ steps: 5 }), ...lines]);
    return readHistory(run.dir).end;
  };
  equal(ended(), "not ended");
  const interrupted = { type: "interrupted", step: 5, steps: 40 };
  equal(ended(interrupted), "interrupted");
  equal(ended(interrupted, { type: "start", step: 5, steps: 40 }), "not ended");
  const stopped = { type: "stopped", step: 5, loss: 1, bestStep: 2 };
  equal(ended(stopped, { type: "done", step: 5, loss: 1 }), "stopped early");
});

Deno.test("a line that a crash cut off is passed over; one that was changed is named", () => {
  using run = new RunFolder();
  const text = eventLines({ steps: 5 }).join("\n");
  Deno.writeTextFileSync(run.file("metrics.jsonl"), text.slice(0, -20));
  equal(readHistory(run.dir).steps.length, 4);
  const refused = (lines: readonly string[], line: number, field?: string) => {
    run.metrics(lines);
    throws(() => readHistory(run.dir), (error: unknown) => {
      const { code, place } = error instanceof PacacError ? error : new PacacError("io", "none");
      equal(code, "run-invalid");
      deepEqual(place, {
        file: run.file("metrics.jsonl"),
        ...(line === 0 ? {} : { line }),
        ...(field && { field }),
      });
      return true;
    });
  };
  const lines = eventLines({ steps: 5 });
  refused([...lines.slice(0, 3), "{", ...lines.slice(3)], 4);
  refused([...lines, "[]x"], 8);
  refused(lines.with(4, lines[4].replace('"gradNorm":', '"norm":')), 5, "gradNorm");
  refused(lines.with(4, lines[4].replace('"loss":1', '"loss":"1"')), 5, "loss");
  refused(lines.slice(0, 2), 0);
  refused([...lines, " ".repeat(18e6)], 0);
});

Deno.test("a file that is read in several parts gives the same, characters across their edges too", () => {
  using run = new RunFolder();
  const wide = "ü🦙".repeat(300_001);
  const lines = eventLines();
  const sample = { time: 1_700_000_000_000, type: "sample", step: 0, sample: 1, expected: "" };
  run.metrics([...lines, JSON.stringify({ ...sample, prompt: wide, text: `x${wide}` }), ...lines]);
  const { steps, samples } = readHistory(run.dir);
  equal(steps.length, 40);
  deepEqual(samples[2].prompt.length + samples[2].text.length, 2 * wide.length + 1);
  ok(samples[2].prompt === wide && samples[2].text === `x${wide}`);
});

Deno.test("a step without a finite loss is no point", () => {
  using run = new RunFolder();
  const lines = eventLines({ steps: 5, loss: (step) => step === 3 ? NaN : 1 });
  run.metrics(lines);
  deepEqual(readHistory(run.dir).steps.map(({ step }) => step), [1, 2, 4, 5]);
});
