/**
 * `generate`: answers a prompt with a model and an adapter.
 *
 * The program that trains is compiled for one short row, and runs forward once a token.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { join } from "node:path";
import { userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import { type LoadedSpec, loadSpec } from "../spec/load.ts";
import { generate, loadTokenizer, type Tokenizer, type Trainer } from "../train/mod.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { loadOptions, openSpec, tokenizerFolder } from "./program.ts";
import { Exit } from "./run.ts";

/** Longest row that generation is compiled for. */
const MAX_ROW = 256;

/** What {@linkcode answer} takes beside the trainer. */
export interface AnswerOptions {
  readonly tokenizer: Tokenizer;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** The command. */
export function generateCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.prompt())
    .addOption(option.weights())
    .addOption(option.adapter())
    .addOption(option.maxTokens())
    .addOption(option.temperature())
    .addOption(option.topP())
    .addOption(option.seed())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .action(async (path, flags) => {
      const { target, isa, threads, weights, seed = 0 } = flags;
      const loaded = oneRow(await loadSpec(userPath(path)));
      const out = join(ROOT, "generated", `${loaded.spec.name}-${target}-generate`);
      const program = await openSpec(loaded, { target, isa, threads, weights, out });
      await using trainer = await program.module.load(loadOptions(flags));
      const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
      using interrupt = new Interrupt("Stopping");
      const { prompt, maxTokens, temperature, topP } = flags;
      const { signal } = interrupt;
      const encoder = new TextEncoder();
      for await (
        const piece of answer(trainer, {
          tokenizer,
          prompt,
          maxTokens,
          temperature,
          topP,
          seed,
          signal,
        })
      ) {
        Deno.stdout.writeSync(encoder.encode(piece));
      }
      Deno.stdout.writeSync(encoder.encode("\n"));
      if (signal.aborted) throw new Exit(interrupt.exitCode);
    }) as unknown as PlainCommand;
}

/**
 * The description with one row a batch, and short rows.
 * @param loaded The description
 */
function oneRow(loaded: LoadedSpec): LoadedSpec {
  const { spec } = loaded;
  const train = {
    ...spec.train,
    batch: 1,
    accumulate: 1,
    seqLen: Math.min(spec.train.seqLen, MAX_ROW),
  };
  return { ...loaded, spec: { ...spec, train } };
}

/**
 * Answers a prompt: as a user's turn where the tokenizer has a chat template, else the text goes on.
 * @param trainer The trainer
 * @param options Tokenizer, prompt, sampling
 */
export function answer(
  trainer: Trainer,
  options: AnswerOptions,
): AsyncGenerator<string, void, undefined> {
  const { tokenizer, prompt } = options;
  const text = tokenizer.hasChatTemplate
    ? tokenizer.chat([{ role: "user", content: prompt }], { generationPrompt: true })
    : prompt;
  return generate(trainer, { ...options, prompt: text });
}
