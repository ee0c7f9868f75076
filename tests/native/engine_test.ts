/**
 * The GPU engine's own logic without a GPU: over a stand-in of CUDA's runtime it must order, size, check and free as it promises.
 * @module
 */
import assert from "node:assert/strict";
import { engineCheck } from "../support/engine_check.ts";
import { cudaTest } from "../support/nvcc.ts";

async function run(scenario: string, number = 0, without = ""): Promise<string[]> {
  const { code, stdout, stderr } = await new Deno.Command(await engineCheck(without), {
    args: [scenario, `${number}`],
  }).output();
  if (without === "") assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().split("\n");
}

// Batches 0, 1, 2, 0 have y = 10 20 30 10, 20 20 30 10, 30 20 30 10 at the start; t = 1 and 2 are supervised in each.
const WHOLE = [
  "forward 25",
  "logits 30 10",
  // Four batches of two tokens: the scale is 1/8, gradients are 5, 6 and 5 times it.
  "step 25 2",
  "step 24.6875 2",
  "step 24.375 2",
  "parameters -1.125 -0.9375 -0.9375",
  "hyper 0.5 0 1 0.875 0.578125",
  "gradients 24.0625",
  "sums 0.5 1 0.5",
  // The second of three equal steps is timed: four micro-batches and an update.
  "lookup 4 calls",
  "total 4 calls",
  "scatter 4 calls",
  "descend 1 calls",
  "pick 0 calls",
  "traced 4, dropped 0",
  "arena 832, weights 256, allocations 0",
  "0 left",
];

for (const scenario of ["graph", "one-by-one"]) {
  for (const [first, what] of [[0, "the compute stream"], [1, "the copy stream"]] as const) {
    cudaTest(`cuda engine: ${scenario}, ${what} as far ahead as events let it`, async () => {
      assert.deepEqual(await run(scenario, first), WHOLE);
    });
  }
}

cudaTest("cuda engine: values larger than the staging buffers arrive whole", async () => {
  assert.deepEqual(await run("staging"), ["staged whole", "0 left"]);
});

cudaTest("cuda engine: every call that fails is named, and everything is freed", async () => {
  for (const first of [0, 1]) {
    assert.deepEqual(await run("failing", first), [
      "every failing call is named: yes, more than 100",
      "0 left",
    ]);
  }
});

cudaTest("cuda engine: what it cannot run on is said before anything is allocated", async () => {
  const [none, ...rest] = await run("none");
  assert.match(none, /^no CUDA device \(CUDA driver version is insufficient/);
  assert.deepEqual(rest, ["nothing allocated", "0 left"]);
  const [old] = await run("old", 75);
  assert.match(old, /^no CUDA device for this program: it is built for sm_80 .* Toy GPU is sm_75$/);
  assert.equal((await run("old", 90))[0], "started");
  // Arena 832 and weights 6 bytes, two slots of 4 inputs; each padded to 256.
  const needed = 1024 + 256 + 2 * 4 * 256;
  assert.deepEqual(await run("small", needed - 1), [
    `the device is too small: the program needs ${needed} bytes, Toy GPU has ${needed - 1} bytes ` +
    `free of ${2 * (needed - 1)} bytes`,
    "nothing allocated",
    "0 left",
  ]);
  assert.equal((await run("small", needed))[0], "started");
});

/** Lines of the engine without which its order is no longer forced. */
const PLANTED = {
  "the copy stream does not wait for a step's begin": "began_.get(), 0)",
  "inputs are read before they have arrived": "ready_[turn].get(), 0)",
  "a slot is filled again before it was read": "consumed_[turn].get(), 0)",
};

cudaTest("cuda engine: an order that is not forced is found", async () => {
  await Promise.all(
    Object.entries(PLANTED).map(async ([what, line]) => {
      const ran = [await run("graph", 0, line), await run("graph", 1, line)];
      assert.ok(ran.some((lines) => lines.join() !== WHOLE.join()), what);
    }),
  );
});
