/**
 * Every op case of whole widths on the cuda target's kernels, in the emulator, against its float64 reference: numbers, and no finding.
 * @module
 */
import { WIDE_CASES } from "../cases/wide.ts";
import { runCases } from "../support/cuda_cases.ts";
import { cudaTest } from "../support/nvcc.ts";

const OPS = [...new Set(WIDE_CASES.map(({ op }) => op))];

for (const op of OPS) {
  cudaTest(`cuda: ${op} meets its reference in the emulator, nothing found`, async () => {
    (await runCases(WIDE_CASES.filter((c) => c.op === op))).assertClean();
  });
}
