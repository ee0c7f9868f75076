/**
 * Event files as TensorBoard itself reads them. Needs a Python with tensorboard, named by PACAC_PEER_PYTHON; skipped otherwise.
 * @module
 */
import assert from "node:assert/strict";
import type { StepEvent } from "../../src/train/events.ts";
import { TensorBoardLogger } from "../../src/train/log_tensorboard.ts";
import { TempFolder } from "../formats/support.ts";

const PYTHON = Deno.env.get("PACAC_PEER_PYTHON");

const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
tags = events.Tags()
scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]}
texts = {tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)]
         for tag in tags["tensors"]}
plugins = {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in tags["tensors"]}
print(json.dumps({"scalars": scalars, "texts": texts, "plugins": plugins}))
`;

function python(...args: readonly string[]): { success: boolean; stdout: string; stderr: string } {
  const { success, stdout, stderr } = new Deno.Command(PYTHON ?? "", { args: [...args] })
    .outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, stdout: text(stdout), stderr: text(stderr) };
}

const there = PYTHON !== undefined && python("-c", "import tensorboard").success;

const step = (number: number, loss: number): StepEvent => ({
  type: "step",
  step: number,
  steps: 9,
  loss,
  gradNorm: 1,
  learningRate: 1e-3,
  tokens: 3,
  supervised: 2,
  tokensPerSecond: 10,
  seconds: 0.3,
  residentBytes: 3_000_000_000,
});

Deno.test({
  name: `TensorBoard reads scalars, texts and restarts${
    there ? "" : " (skipped: set PACAC_PEER_PYTHON to a Python with tensorboard)"
  }`,
  ignore: !there,
  fn() {
    using folder = new TempFolder();
    const path = folder.file("tensorboard");
    {
      using logger = new TensorBoardLogger(path, 0);
      for (const number of [1, 2, 3, 4]) logger.log(step(number, number));
      logger.log({ type: "eval", step: 4, loss: 0.5, supervised: 2 });
    }
    {
      using logger = new TensorBoardLogger(path, 2);
      for (const number of [3, 4]) logger.log(step(number, 10 * number));
      const words = { prompt: "Why? é☃", expected: "", text: "**Because.**" };
      logger.log({ type: "sample", step: 4, sample: 0, ...words });
    }
    const { success, stdout, stderr } = python("-c", READ, path);
    assert.ok(success, stderr.slice(-4000));
    const { scalars, texts, plugins } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    // The second file took back what the first said of steps 3 and 4.
    assert.deepEqual(scalars["loss/train"], [[1, 1], [2, 2], [3, 30], [4, 40]]);
    assert.deepEqual(scalars["loss/validation"] ?? [], []);
    assert.deepEqual(scalars["resident_bytes"].at(-1), [4, 3_000_000_000]);
    assert.equal(plugins["sample/1"], "text");
    assert.equal(texts["sample/1"][0][0], 4);
    assert.match(texts["sample/1"][0][1], /Why\? é☃[^]*\*\*Because\.\*\*/);
  },
});
