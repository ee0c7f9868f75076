/**
 * Every op case on the cpu target against its float64 reference, on every instruction set here; outputs start as NaN.
 * @module
 */
import { Graph } from "../../src/graph/graph.ts";
import { CASES } from "../cases/mod.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { HERE, HERE_BF16, openPlan, planFor } from "../support/cpu_engine.ts";
import {
  BATCH,
  declareTrainerTensors,
  fillCase,
  judgeCase,
  placeCase,
  takesBf16,
} from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";

const RUNS = [
  ...HERE.map((name) => ({ isa: ISAS[name], label: name, storage: "f32" as const })),
  ...HERE_BF16.map((one) => ({ ...one, storage: "bf16" as const })),
];

for (const { isa, label, storage } of RUNS) {
  for (const threads of storage === "f32" ? [1, 3] : [2]) {
    Deno.test(`cpu ${label} ${storage}, ${threads} threads: every op case meets its reference`, async () => {
      const cases = CASES.filter((c) => storage === "f32" || takesBf16(c));
      const graph = new Graph("cases");
      declareTrainerTensors(graph);
      const placed = cases.map((c, i) => placeCase(graph, c, { i, storage }));
      const plan = planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads });
      const engine = await openPlan(plan);
      try {
        placed.forEach((one) => fillCase(engine, one, storage));
        await engine.forward(BATCH);
        placed.forEach((one) => judgeCase(engine, one, storage));
      } finally {
        engine.dispose();
      }
    });
  }
}
