/**
 * `download`: files of a model or a data set from the hub into the cache that descriptions' hub ids and `--data hf:` are looked
 * up in.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import {
  downloadDataset,
  downloadModel,
  type DownloadOptions,
  type DownloadProgress,
  parseDatasetName,
  processEnvironment,
} from "../formats/mod.ts";
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
    .argument(
      "<name>",
      "Hub id, org/name; a data set's may be org/name:split or org/name:config/split",
    )
    .addOption(option.dataset())
    .addOption(option.revision())
    .addOption(option.file())
    .action(async (name, { dataset, revision, file }) => {
      using interrupt = new Interrupt("ending; what was downloaded is kept");
      const status = new Status();
      try {
        const options: DownloadOptions = {
          env: processEnvironment,
          signal: interrupt.signal,
          progress: shown(status),
          ...revision === undefined ? {} : { revision },
          ...file === undefined ? {} : { wanted: (name: string) => name === file },
        };
        const snapshot = dataset === true
          ? await downloadDataset(parseDatasetName(name), options)
          : await downloadModel(name, options);
        status.end();
        print(snapshot);
        if (dataset === true) note(`train on it with --data ${dataFlag(name, revision)}`);
      } catch (error) {
        status.end();
        if (!interrupt.signal.aborted) throw error;
        const kind = dataset === true ? "--dataset " : "";
        note(`go on with: deno task download ${kind}${name}`);
        throw new Exit(interrupt.exitCode);
      }
    }) as unknown as PlainCommand;
}

/** The name that finds the files again in the cache. */
function dataFlag(name: string, revision: string | undefined): string {
  const [id, ...part] = name.replace(/^hf:/, "").split(":");
  const at = revision === undefined || id.includes("@") ? "" : `@${revision}`;
  return `hf:${[`${id}${at}`, ...part].join(":")}`;
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
