/**
 * `generate`: answers a prompt with a model and an adapter, or with both the adapter and without it.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import { answer, type AnswerFlags, openWriter, speedText, stream, type Writer } from "./answer.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { aside, heading, note, print } from "./print.ts";
import { Exit } from "./run.ts";

/** The command. */
export function generateCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.prompt())
    .addOption(option.system())
    .addOption(option.weights())
    .addOption(option.adapter())
    .addOption(option.compare())
    .addOption(option.maxTokens())
    .addOption(option.temperature())
    .addOption(option.topK())
    .addOption(option.topP())
    .addOption(option.minP())
    .addOption(option.repetitionPenalty())
    .addOption(option.stop())
    .addOption(option.seed())
    .addOption(option.context())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .action(async (path, flags) => {
      const compare = flags.compare === true;
      if (compare && flags.adapter === undefined) {
        throw new PacacError("usage", "Cannot compare: no adapter is named", {
          remedy: "name one with --adapter DIR",
        });
      }
      const loaded = await loadSpec(userPath(path));
      await using writer = await openWriter(loaded, flags);
      using interrupt = new Interrupt("Stopping");
      const { signal } = interrupt;
      for (const on of compare ? [true, false] : [undefined]) {
        if (on !== undefined) {
          print(heading(on ? "# with the adapter" : "\n# without the adapter"));
          writer.decoder.setAdapter(on);
        }
        if (!signal.aborted) await answerOne(writer, flags, signal);
      }
      if (signal.aborted) throw new Exit(interrupt.exitCode);
    }) as unknown as PlainCommand;
}

async function answerOne(
  { decoder, tokenizer, stop }: Writer,
  flags: AnswerFlags & { readonly prompt: string; readonly system?: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { prompt, system } = flags;
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: prompt },
  ];
  const { written } = await stream(
    answer(decoder, { tokenizer, messages, flags, stop, signal }),
  );
  if (written.reason === "context") {
    note(`stopped: the context of ${decoder.contextLength} tokens is full (--context)`);
  }
  note(aside(speedText(written)));
}
