/**
 * Events as TensorBoard shows them: curves by step, and samples as texts.
 * @module
 */
import { EventFile } from "../formats/event_file.ts";
import type { SampleEvent, TrainEvent } from "./events.ts";
import type { Logger } from "./logger.ts";

/** Writes an event file into a folder that `tensorboard --logdir` is pointed at. */
export class TensorBoardLogger implements Logger {
  readonly #file: EventFile;

  /**
   * Begins a file; what files of the same folder say of later steps is taken back.
   * @param folder The folder, made where it is not there
   * @param stepsDone Where the run goes on from; 0 in a new run
   * @throws {PacacError} io
   */
  constructor(folder: string, stepsDone: number) {
    this.#file = new EventFile(folder, { step: stepsDone === 0 ? 0 : stepsDone + 1 });
  }

  /**
   * Writes what there is to show of an event.
   * @param event The event
   * @throws {PacacError} io
   */
  log(event: TrainEvent): void {
    switch (event.type) {
      case "step":
        return this.#file.scalars(event.step, {
          "loss/train": event.loss,
          gradient_norm: event.gradNorm,
          learning_rate: event.learningRate,
          tokens_per_second: event.tokensPerSecond,
          resident_bytes: event.residentBytes,
        });
      case "eval":
        return this.#file.scalars(event.step, { "loss/validation": event.loss });
      case "sample":
        return this.#file.text(event.step, `sample/${event.sample + 1}`, markdown(event));
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** Texts as they are: lines that are indented are not read as Markdown. */
function markdown({ prompt, text }: SampleEvent): string {
  const verbatim = (lines: string) => lines.split("\n").map((line) => `    ${line}`).join("\n");
  return `prompt\n\n${verbatim(prompt)}\n\nanswer\n\n${verbatim(text)}\n`;
}
