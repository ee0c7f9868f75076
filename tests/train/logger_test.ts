/**
 * Loggers: the example that a user reads compiles and works, and several loggers at once.
 * @module
 */
import assert from "node:assert/strict";
import type { StepEvent, TrainEvent } from "../../src/train/events.ts";
import { type Logger, Loggers } from "../../src/train/logger.ts";
import { TempFolder } from "../formats/support.ts";
import { inRepository } from "../support/paths.ts";

const event: StepEvent = {
  type: "step",
  step: 7,
  steps: 9,
  loss: 0.5,
  gradNorm: 1,
  learningRate: 1e-3,
  tokens: 3,
  supervised: 2,
  tokensPerSecond: 10,
  seconds: 0.3,
  residentBytes: 1000,
};

Deno.test("a logger of one's own is ten lines: the example of logger.ts runs as written", async () => {
  const source = await Deno.readTextFile(inRepository("src/train/logger.ts"));
  const [, block = ""] = source.match(/^ \* ```ts\n([^]*?)^ \* ```$/m) ?? [];
  const example = block.replaceAll(/^ \* ?/gm, "");
  const [definition] = example.match(/^export class[^]*^}$/m) ?? [""];
  assert.ok(definition.split("\n").length <= 10, definition);
  using folder = new TempFolder();
  const main = folder.write(
    "main.ts",
    `${example}
using logger = new CsvLogger();
const events: TrainEvent[] = ${JSON.stringify([event, { type: "saved", step: 7, dir: "d" }])};
for (const event of events) logger.log(event);
`,
  );
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--check", "--config", inRepository("deno.json")]
      .concat("--allow-write=loss.csv", main),
    cwd: folder.path,
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal(await Deno.readTextFile(folder.file("loss.csv")), "7,0.5\n");
});

Deno.test("Loggers hands each event to all, and ends all of them even where one fails", () => {
  const said: string[] = [];
  const named = (name: string, fails = false): Logger => ({
    log: (event: TrainEvent) => said.push(`${name} ${event.type}`),
    [Symbol.dispose]() {
      said.push(`${name} ends`);
      if (fails) throw new Error("cannot end");
    },
  });
  assert.throws(() => {
    using logs = new Loggers([named("a"), named("b", true)]);
    logs.log(event);
  }, /cannot end/);
  assert.deepEqual(said, ["a step", "b step", "b ends", "a ends"]);
});
