/**
 * A run's folder made by hand, with texts in it that would like to be HTML.
 * @module
 */
import { join } from "node:path";
import { type RunRecord, writeRecord } from "../../src/report/record.ts";

/** Texts that leave their place wherever one is not escaped. */
export const HOSTILE = {
  file: `/data/"><img src=x onerror="window.hit=1">.jsonl`,
  prompt: `</script><script>window.hit=1</script>`,
  answer: `'"><svg onload=window.hit=1>&amp;{{ 7*7 }}`,
  name: `x</title></style><script>window.hit=1</script><!--`,
} as const;

/** A run that was planned to be of 40 steps. */
export interface MadeRun {
  readonly steps?: number;
  /** Loss of a step. */
  readonly loss?: (step: number) => number;
  /** Added to the record. */
  readonly record?: Partial<RunRecord>;
}

/** Lines of a run's metrics.jsonl; a step takes half a second. */
export function eventLines({ steps = 40, loss = (step) => 3 / step }: MadeRun = {}): string[] {
  const line = (step: number, event: object) =>
    JSON.stringify({ time: 1_700_000_000_000 + 500 * step, ...event, step });
  const sample = (step: number, text: string) =>
    line(step, { type: "sample", sample: 0, prompt: HOSTILE.prompt, expected: "yes", text });
  const lines = [line(0, { type: "start", steps: 40 }), sample(0, HOSTILE.answer)];
  for (let step = 1; step <= steps; step++) {
    lines.push(line(step, {
      type: "step",
      steps: 40,
      loss: loss(step),
      gradNorm: 1 + 1 / step,
      learningRate: 1e-3 * (1 - step / 40),
      tokens: 500,
      supervised: 400,
      tokensPerSecond: 1000,
      seconds: 0.5,
      residentBytes: 3e8 + step,
    }));
    if (step % 10 === 0) lines.push(line(step, { type: "eval", loss: loss(step) + 1 }));
  }
  if (steps === 40) lines.push(sample(40, "after"), line(40, { type: "done", loss: 0 }));
  return lines;
}

/** The record of such a run. */
export function recordText(more: Partial<RunRecord> = {}): RunRecord {
  const pack = { documents: 3, rows: 2, tokens: 90, supervised: 60, truncated: 0, dropped: 1 };
  return {
    version: 1,
    name: HOSTILE.name,
    target: "cpu",
    began: "2026-01-02T03:04:05.000Z",
    command: `deno task train x.ts --data '${HOSTILE.file}'`,
    flags: { "--data": HOSTILE.file },
    settings: { model: HOSTILE.name, rank: 8 },
    versions: { pacac: "1.2.3" },
    machine: { processor: "one", cores: 2, memoryBytes: 2 ** 33, system: "Linux" },
    flopsPerStep: 5e9,
    data: {
      seqLen: 50,
      train: { ...pack, efficiency: 0.9 },
      duplicates: 0,
      skipped: 0,
      lengths: { min: 10, median: 30, p95: 45, max: 50 },
      histogram: [{ from: 0, to: 50, documents: 3 }],
      files: [{
        ...{ file: HOSTILE.file, format: "alpaca", container: "jsonl", rows: 3, documents: 3 },
        sha256: "ab".repeat(32),
      }],
    },
    plan: {
      isa: "avx2",
      threads: 2,
      parameters: 1000,
      trained: 100,
      tokens: 100,
      arenaBytes: 10e6,
      mappedWeightBytes: 4000,
      peak: { parameter: 1e6, "kept activations": 6e6, "passing activations": 2e6, gaps: 1e6 },
      predictedSeconds: 0.1,
      machine: { processor: "one", flopsPerSecond: 1e11, bytesPerSecond: 1e10, measured: true },
      activations: {
        phases: [{ phase: "forward", calls: 2 }, { phase: "logits", calls: 0 }, {
          phase: "backward",
          calls: 2,
        }],
        kept: [3e6, 6e6, 6e6, 2e6],
        passing: [1e6, 1e6, 2e6, 1e6],
      },
    },
    profile: {
      steps: 40,
      seconds: 20,
      kernels: [
        { kernel: "linear_T100_0123abcd", calls: 80, seconds: 12, flops: 5e9, bytes: 1e8 },
        { kernel: "add_T100_0123abcd", calls: 40, seconds: 6, flops: 1e8, bytes: 1.2e9 },
        { kernel: "copy_T100_0123abcd", calls: 40, seconds: 1, flops: 0, bytes: 1e8 },
      ],
    },
    ...more,
  };
}

/** A run in a folder of its own, removed when disposed of. */
export class RunFolder implements Disposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "pacac_report_" });

  /** @param made What the run is */
  constructor(made: MadeRun = {}) {
    this.metrics(eventLines(made));
    writeRecord(this.dir, recordText(made.record));
  }

  /** A path in the folder. */
  file(name: string): string {
    return join(this.dir, name);
  }

  /** Writes other events. */
  metrics(lines: readonly string[]): void {
    Deno.writeTextFileSync(this.file("metrics.jsonl"), `${lines.join("\n")}\n`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}
