/**
 * `demo`: the whole of pacac in two minutes, with the small model and the text in this repository.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import asciichart from "asciichart";
import type { Command as PlainCommand } from "commander";
import { loadSpec } from "../spec/load.ts";
import { ROOT } from "../spec/evaluate.ts";
import { loadData, loadTokenizer, RunLock, type Tokenizer, type Trainer } from "../train/mod.ts";
import { option } from "./flags.ts";
import { answer } from "./answer.ts";
import { duration, grouped, heading, megabytes, print } from "./print.ts";
import { openSpec, tokenizerFolder } from "./program.ts";
import { fineTuneOn } from "./fine_tune.ts";
import { versions } from "./run_record.ts";

const SPEC = `${ROOT}models/tiny.ts`;
const DATA = `${ROOT}models/tiny/facts.jsonl`;
const STEPS = 400;
const QUESTIONS = [
  "What is the climate of Iceland?",
  "What is the terrain of Switzerland?",
  "What does Portugal export?",
];

/** The command. */
export function demoCommand(): PlainCommand {
  return new Command()
    .addOption(option.steps().default(STEPS))
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .action(async ({ steps, ...flags }) => {
      const began = performance.now();
      section("Compile models/tiny.ts for this machine");
      const program = await openSpec(await loadSpec(SPEC), flags);
      await using trainer = await program.module.load({});
      const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
      section("Before: a model that has read Moby Dick is asked about geography");
      await ask(trainer, tokenizer);
      section(`Fine-tune with PaCA on ${DATA}`);
      const data = await loadData(DATA, { tokenizer, seqLen: trainer.info.seqLen });
      // A folder of its own: what a person trained from the same description stays as it is.
      const runDir = `${program.dir}-demo`;
      using _lock = RunLock.take(runDir);
      const losses = await fineTuneOn(trainer, {
        data: data.train,
        steps,
        runDir,
        adapterFormat: "peft",
        report: {
          programDir: program.dir,
          data,
          command: "deno task demo",
          flags: {},
          began: new Date().toISOString(),
          versions: await versions(),
        },
        json: false,
        resumeCommand:
          `deno task train models/tiny.ts --data models/tiny/facts.jsonl --resume ${runDir}/checkpoint`,
      });
      section("Loss");
      print(asciichart.plot(thin(losses, 72), { height: 8 }));
      section("After");
      await ask(trainer, tokenizer);
      section("Memory");
      print(memoryText(trainer));
      section("Files");
      print(`  program     ${program.dir} (plan.txt, kernels, bindings.ts, trainer.ts)`);
      print(`  report      ${runDir}/report.html (curves, kernels, memory: open it in a browser)`);
      print(`  adapter     ${runDir}/adapter (loads in Hugging Face peft)`);
      print(`  checkpoint  ${runDir}/checkpoint`);
      print(`\nAll of it took ${duration((performance.now() - began) / 1000)}.`);
    }) as unknown as PlainCommand;
}

function section(title: string): void {
  print(`\n${heading(title)}`);
}

async function ask(trainer: Trainer, tokenizer: Tokenizer): Promise<void> {
  const flags = { maxTokens: 40 };
  for (const prompt of QUESTIONS) {
    const messages = [{ role: "user", content: prompt }];
    let text = "";
    for await (const piece of answer(trainer, { tokenizer, messages, flags })) text += piece;
    print(`  ${prompt}\n    ${text.replaceAll("\n", " ").trim()}`);
  }
}

/** At most `columns` points, each the mean of its share of the series. */
function thin(series: readonly number[], columns: number): number[] {
  const points = Math.min(columns, series.length);
  return Array.from({ length: points }, (_, i) => {
    const share = series.slice(
      Math.floor(i * series.length / points),
      Math.floor((i + 1) * series.length / points),
    );
    return share.reduce((sum, value) => sum + value, 0) / share.length;
  });
}

function memoryText({ info, engine }: Trainer): string {
  const { arenaUsed, stepAllocations } = engine.memory();
  return [
    `  planned     ${grouped(info.arenaBytes)} bytes (${megabytes(info.arenaBytes)})`,
    `  used        ${grouped(arenaUsed)} bytes`,
    `  allocated by training steps: ${stepAllocations} times`,
  ].join("\n");
}
