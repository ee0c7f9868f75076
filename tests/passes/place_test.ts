/**
 * What place tells of memory over the schedule, against a count from the plan's calls alone.
 * @module
 */
import assert from "node:assert/strict";
import { bytesOf, type Tensor } from "../../src/graph/graph.ts";
import { place } from "../../src/passes/place.ts";
import { select } from "../../src/passes/select.ts";
import { cpuTarget } from "../../src/targets/cpu/mod.ts";
import { runPasses, TINY } from "../support/small_model.ts";

Deno.test("activations by call: what is read later, and the peak is the greatest of them", () => {
  const graph = runPasses({ config: { ...TINY, layers: 3 }, seqLen: 40 });
  const calls = select(graph, cpuTarget("plain"));
  const { activations, peak, arenaBytes } = place(graph, calls, 2);
  assert.equal(activations.length, calls.length);

  const padded = (tensor: Tensor) => Math.ceil(bytesOf(tensor) / 64) * 64;
  const uses = new Map<Tensor, number[]>();
  calls.forEach(({ call }, i) => {
    for (const { tensor } of call.operands) {
      const passes = tensor.role === "activation" || tensor.name === "logits";
      if (passes && tensor.view === undefined) uses.set(tensor, [...uses.get(tensor) ?? [], i]);
    }
  });
  activations.forEach((told, i) => {
    let kept = 0, passing = 0;
    for (const [tensor, at] of uses) {
      if (at[0] > i || at[at.length - 1] < i) continue;
      const [first, last] = [at[0], at[at.length - 1]].map((call) => calls[call].phase);
      if (first === "forward" && last === "backward") kept += padded(tensor);
      else passing += padded(tensor);
    }
    assert.deepEqual(told, { kept, passing }, `call ${i}`);
  });

  const most = Math.max(...activations.map(({ kept, passing }) => kept + passing));
  assert.equal(most, peak["kept activations"] + peak["passing activations"]);
  const { "kept activations": _, "passing activations": __, ...lasting } = peak;
  const rest = Object.values(lasting).reduce((sum, bytes) => sum + bytes, 0);
  assert.equal(rest + most, arenaBytes);
});
