/**
 * Pairs of workloads that differ in one thing, run step by step in turn: whether a kernel's time follows its work.
 * @module
 */
import type { ProgramInfo } from "../../train/mod.ts";
import { percent, table } from "../print.ts";
import type { Measured } from "./measure.ts";
import type { Workload } from "./workload.ts";

/** What can be varied. */
export type Variation = "documents" | "supervised" | "padding";

interface Varied {
  /** Two workloads by name; the first is what the second is compared with. */
  readonly workloads: (info: ProgramInfo) => Readonly<Record<string, Workload>>;
}

/** Tokens of a short document. */
const SHORT = 32;

/** Tokens of a row that one document fills: of GSM8K's questions and answers, one a row of 512, 42 %. */
const FILLED = 0.42;

/** The variations by name. */
export const VARIATIONS: Readonly<Record<Variation, Varied>> = {
  documents: {
    workloads: ({ seqLen }) => ({
      [`1 document of ${seqLen} a row`]: {},
      [`${Math.ceil(seqLen / SHORT)} documents of ${SHORT} a row`]: { documentTokens: SHORT },
    }),
  },
  supervised: {
    workloads: () => ({ "all supervised": {}, "a third supervised": { supervised: 1 / 3 } }),
  },
  padding: {
    workloads: ({ seqLen }) => {
      const documentTokens = Math.max(2, Math.round(FILLED * seqLen));
      return {
        [`rows packed with documents of ${documentTokens}`]: { documentTokens },
        "one of them a row, then padding": { documentTokens, filled: documentTokens },
      };
    },
  },
};

/**
 * The kernels of two variants side by side: milliseconds a step by the first word of a kernel's name, and their ratio.
 * @param measured With two variants
 */
export function variationTable({ variants }: Measured): string {
  const [first, second] = variants.map(({ kernels, ...rest }) => ({
    ...rest,
    byOp: Map.groupBy(kernels, ({ kernel }) => opName(kernel)),
  }));
  const secondsOf = ({ byOp }: typeof first, name: string) =>
    (byOp.get(name) ?? []).reduce((sum, { seconds }) => sum + seconds, 0);
  const ms = (seconds: number) => (1000 * seconds).toFixed(2);
  const line = (name: string, a: number, b: number) => [name, ms(a), ms(b), percent(b / a)];
  return table([
    ["ms a step (steps in turn)", first.variant, second.variant, "ratio"],
    ...[...first.byOp.keys()].map((name) =>
      line(name, secondsOf(first, name), secondsOf(second, name))
    ),
    line("step", first.secondsPerStep, second.secondsPerStep),
    line("step, CPU time", first.cpuSecondsPerStep, second.cpuSecondsPerStep),
  ]);
}

/** `attention_backward` of `attention_backward_T2048_S512_0a1b2c3d`: what stands before the dimensions. */
function opName(kernel: string): string {
  return kernel.replace(/(?:_[A-Z][A-Za-z]*\d+)*_[0-9a-f]{8}$/, "");
}
