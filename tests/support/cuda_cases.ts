/**
 * Op cases on the cuda target's kernels in the emulator: a graph of nothing but the cases, filled, run and judged by the reference.
 * @module
 */
import assert from "node:assert/strict";
import { findingText } from "../../src/emulator/mod.ts";
import { Graph } from "../../src/graph/graph.ts";
import type { Chooser } from "../../src/passes/select.ts";
import type { Plan } from "../../src/targets/plan.ts";
import type { OpCase } from "../cases/mod.ts";
import {
  cudaPlan,
  type EmulatedEngine,
  type EmulatedOptions,
  openEmulated,
} from "./cuda_engine.ts";
import {
  BATCH,
  declareTrainerTensors,
  fillCase,
  judgeCase,
  placeCase,
  type Placed,
} from "./op_cases.ts";
import { smallSpec } from "./small_model.ts";

/** How cases are run. */
export interface CaseOptions extends EmulatedOptions {
  /** Tuned values. */
  readonly choose?: Chooser;
}

/**
 * Runs cases, without judging.
 * @param cases The cases; their inputs are rounded to what the kernels get
 * @param options Tuned values, edits of sources
 */
export async function runCases(cases: readonly OpCase[], options: CaseOptions = {}): Promise<Ran> {
  const { plan, placed } = planCases(cases, options.choose);
  const engine = await openEmulated(plan, options);
  placed.forEach((one) => fillCase(engine, one, "gpu"));
  await engine.forward(BATCH);
  return new Ran(engine, placed);
}

/**
 * The plan of a graph that has nothing but the cases.
 * @param cases The cases
 * @param choose Tuned values
 */
export function planCases(
  cases: readonly OpCase[],
  choose?: Chooser,
): { readonly plan: Plan; readonly placed: readonly Placed[] } {
  const graph = new Graph("cases");
  declareTrainerTensors(graph);
  const placed = cases.map((c, i) => placeCase(graph, c, { i, storage: "gpu" }));
  return { plan: cudaPlan(graph, { spec: smallSpec(), vocabSize: 67, choose }), placed };
}

/** Cases after their run. */
export class Ran {
  readonly #placed: readonly Placed[];

  /** @param engine Where they ran @param placed Their tensors */
  constructor(readonly engine: EmulatedEngine, placed: readonly Placed[]) {
    this.#placed = placed;
  }

  /** Fails unless all outputs meet the reference; NaN fails. */
  assertNumbers(): void {
    this.#placed.forEach((one) => judgeCase(this.engine, one, "gpu"));
  }

  /** What the checker found, as text. */
  findings(): string[] {
    return this.engine.launches.flatMap(({ kernel, entry, findings }) =>
      findings.map((finding) => `${kernel}${entry}: ${findingText(finding)}`)
    );
  }

  /** Fails where a number is off or anything was found. */
  assertClean(): void {
    this.assertNumbers();
    assert.deepEqual(this.findings().slice(0, 5), []);
  }
}
