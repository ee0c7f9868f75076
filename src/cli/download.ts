/**
 * `download`: a model's files from the hub into the cache that descriptions' hub ids are looked up in.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { downloadModel, type DownloadProgress, processEnvironment } from "../formats/mod.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { megabytes, note, percent, print } from "./print.ts";
import { Status } from "./progress.ts";
import { Exit } from "./run.ts";

/** Milliseconds between two lines on a terminal; Status shows every tenth elsewhere. */
const SHOW_EVERY = 200;

/** The command. */
export function downloadCommand(): PlainCommand {
  return new Command()
    .argument("<model>", "Hub id, org/name")
    .addOption(option.revision())
    .addOption(option.file())
    .action(async (model, { revision, file }) => {
      using interrupt = new Interrupt("ending; what was downloaded is kept");
      const status = new Status();
      try {
        const snapshot = await downloadModel(model, {
          env: processEnvironment,
          signal: interrupt.signal,
          progress: shown(status),
          ...revision === undefined ? {} : { revision },
          ...file === undefined ? {} : { wanted: (name: string) => name === file },
        });
        status.end();
        print(snapshot);
      } catch (error) {
        status.end();
        if (!interrupt.signal.aborted) throw error;
        note(`go on with: deno task download ${model}`);
        throw new Exit(interrupt.exitCode);
      }
    }) as unknown as PlainCommand;
}

function shown(status: Status): (state: DownloadProgress) => void {
  let last = -Infinity;
  return ({ file, bytes, size, done, files }) => {
    const now = performance.now();
    if (now - last < SHOW_EVERY) return;
    last = now;
    const share = percent(size === 0 ? 1 : bytes / size);
    status.show(
      `${done + 1}/${files}  ${file}  ${megabytes(bytes)} of ${megabytes(size)}  ${share}`,
    );
  };
}
