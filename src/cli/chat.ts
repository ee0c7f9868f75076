/**
 * `chat`: a conversation with a model; an adapter can be switched on and off in it. Reads a line a turn, also from a pipe.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import process from "node:process";
import { createInterface } from "node:readline";
import { PacacError } from "../errors.ts";
import { publishText } from "../formats/atomic.ts";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import type { Message } from "../train/mod.ts";
import { answer, type AnswerFlags, openWriter, speedText, stream, type Writer } from "./answer.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { aside, note, print } from "./print.ts";

const HELP = `/adapter on|off   answer with the adapter, or as the base model
/system TEXT      begin anew, with this told to the model first
/reset            begin anew
/save FILE        write the conversation as a line of JSON, as train reads it
/help             this
/quit             leave (or Ctrl-D; Ctrl-C stops an answer)`;

/** The command. */
export function chatCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.system())
    .addOption(option.weights())
    .addOption(option.adapter())
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
      await using writer = await openWriter(await loadSpec(userPath(path)), flags);
      const chat = new Chat(writer, flags);
      note(aside("/help lists commands; /quit leaves"));
      // Lines are the terminal's own: so Ctrl-C is a signal, and between answers it ends the program.
      const lines = createInterface({ input: process.stdin, terminal: false });
      const ask = () => process.stdin.isTTY && process.stderr.write("> ");
      ask();
      for await (const line of lines) {
        if (!await chat.take(line.trim())) return;
        ask();
      }
    }) as unknown as PlainCommand;
}

/** The conversation so far. */
class Chat {
  readonly #writer: Writer;
  readonly #flags: AnswerFlags;
  #messages: Message[];

  constructor(writer: Writer, flags: AnswerFlags & { readonly system?: string | undefined }) {
    this.#writer = writer;
    this.#flags = flags;
    this.#messages = beginning(flags.system);
  }

  /** Takes a line; false where it was the last one. */
  async take(line: string): Promise<boolean> {
    if (line === "") return true;
    try {
      if (line.startsWith("/")) return this.#command(line);
      await this.#answer(line);
    } catch (error) {
      // A turn that fails does not end the conversation.
      if (!(error instanceof PacacError)) throw error;
      note(error.format());
    }
    return true;
  }

  async #answer(content: string): Promise<void> {
    const { decoder, tokenizer, stop } = this.#writer;
    const messages = [...this.#messages, { role: "user", content }];
    using interrupt = new Interrupt("Stopping the answer");
    const { signal } = interrupt;
    const { text, written } = await stream(
      answer(decoder, { tokenizer, messages, flags: this.#flags, stop, signal }),
    );
    this.#messages = [...messages, { role: "assistant", content: text }];
    if (written.reason === "context") {
      note(`stopped: the context of ${decoder.contextLength} tokens is full; /reset begins anew`);
    }
    note(aside(speedText(written)));
  }

  #command(line: string): boolean {
    const [name, ...words] = line.split(/\s+/);
    const rest = words.join(" ");
    switch (name) {
      case "/quit":
        return false;
      case "/help":
        print(HELP);
        return true;
      case "/reset":
        this.#messages = this.#messages.filter(({ role }) => role === "system");
        return true;
      case "/system":
        this.#messages = beginning(rest === "" ? undefined : rest);
        return true;
      case "/adapter":
        this.#switch(rest);
        return true;
      case "/save":
        this.#save(rest);
        return true;
      default:
        throw new PacacError("usage", `Cannot do "${name}": no such command`, {
          remedy: "/help lists them; a message must not begin with a slash",
        });
    }
  }

  #switch(state: string): void {
    if (state !== "on" && state !== "off") {
      throw new PacacError("usage", "Cannot switch the adapter: neither on nor off is said", {
        remedy: "write /adapter on, or /adapter off",
      });
    }
    this.#writer.decoder.setAdapter(state === "on");
    note(`the adapter is ${state}`);
  }

  #save(file: string): void {
    if (file === "") {
      throw new PacacError("usage", "Cannot save: no file is named", {
        remedy: "write /save FILE",
      });
    }
    const path = userPath(file);
    publishText(path, `${JSON.stringify({ messages: this.#messages })}\n`);
    note(`saved ${path}`);
  }
}

function beginning(system: string | undefined): Message[] {
  return system === undefined ? [] : [{ role: "system", content: system }];
}
