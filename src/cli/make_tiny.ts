/**
 * `make-tiny`: makes the demo's small model again, from the text beside it: a vocabulary, fresh weights, full fine-tuning.
 *
 * Same text, seed, machine and threads give the same files.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { join } from "node:path";
import { publishCopy, publishText } from "../formats/mod.ts";
import { loadSpec } from "../spec/load.ts";
import { ROOT } from "../spec/evaluate.ts";
import { learnBpe, loadData, loadTokenizer } from "../train/mod.ts";
import { option } from "./flags.ts";
import { note, print } from "./print.ts";
import { openSpec, runFolder } from "./program.ts";
import { fineTuneOn } from "./fine_tune.ts";

const FOLDER = join(ROOT, "models", "tiny");
const SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>"];
const VOCABULARY = 768;
const STEPS = 1500;
const SEED = 1;

/** The command. */
export function makeTinyCommand(): PlainCommand {
  return new Command()
    .addOption(option.steps().default(STEPS))
    .addOption(option.isa())
    .addOption(option.threads())
    .action(async ({ steps, ...flags }) => {
      const text = join(FOLDER, "text.txt");
      note(`learning ${VOCABULARY} tokens from ${text}`);
      const vocabulary = learnBpe(await Deno.readTextFile(text), {
        vocabSize: VOCABULARY,
        special: SPECIAL,
      });
      publishText(join(FOLDER, "tokenizer.json"), `${JSON.stringify(vocabulary)}\n`);
      const spec = await loadSpec(join(ROOT, "models", "tiny_base.ts"));
      const program = await openSpec(spec, { ...flags, target: "cpu" });
      await using trainer = await program.module.load({ init: { seed: SEED } });
      const tokenizer = await loadTokenizer(FOLDER);
      const { train } = await loadData(text, { tokenizer, seqLen: trainer.info.seqLen });
      const runDir = runFolder(program.dir);
      await fineTuneOn(trainer, {
        data: train,
        steps,
        runDir,
        adapterFormat: "peft",
        json: false,
        resumeCommand: "deno task make-tiny",
      });
      // bf16: the demo's files stay small, and what is lost is less than one step of training moves.
      await trainer.saveMerged(join(runDir, "small"), { dtype: "bf16" });
      publishCopy(join(runDir, "small", "model.safetensors"), FOLDER);
      print(join(FOLDER, "model.safetensors"));
    }) as unknown as PlainCommand;
}
