/**
 * `upload`: an adapter's folder, or a run's, becomes a commit on the hub.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { PacacError } from "../errors.ts";
import { filesToUpload, isFolder, processEnvironment, uploadFolder } from "../formats/mod.ts";
import { userPath } from "../knobs.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { megabytes, note, print, table } from "./print.ts";
import { Exit } from "./run.ts";
import { partOf } from "./run_parts.ts";

/** The command. */
export function uploadCommand(): PlainCommand {
  return new Command()
    .argument("<folder>", "An adapter's or a model's folder, or a run's that has one")
    .addOption(option.repo())
    .addOption(option.message())
    .addOption(option.public())
    .addOption(option.dryRun())
    .action(async (path, { repo, message, public: isPublic = false, dryRun }) => {
      const folder = folderOf(userPath(path));
      const files = filesToUpload(folder, repo);
      if (dryRun === true) {
        note(`would send these files of ${folder} to ${repo}; where it is not there yet, it would`);
        note(`be made ${isPublic ? "public" : "private"}`);
        print(table(files.map(({ name, size }) => [name, megabytes(size)])));
        return;
      }
      using interrupt = new Interrupt("ending; nothing of an upload is seen until it is complete");
      try {
        const { commit, url } = await uploadFolder(folder, repo, {
          env: processEnvironment,
          signal: interrupt.signal,
          isPrivate: !isPublic,
          progress: ({ file, size, done, files }) =>
            note(`${done + 1}/${files}  ${file}  ${megabytes(size)}`),
          ...(message === undefined ? {} : { message }),
        });
        note(`commit ${commit}`);
        print(url);
      } catch (error) {
        if (interrupt.signal.aborted) throw new Exit(interrupt.exitCode);
        throw error;
      }
    }) as unknown as PlainCommand;
}

/** A run's folder stands for the adapter or the model in it; its checkpoints are nobody else's. */
function folderOf(path: string): string {
  const found = partOf(path, ["adapter_config.json", "config.json"]);
  if (found !== undefined) return found;
  const state = isFolder(path) ? "it has no adapter and no model" : "the folder is not there";
  throw new PacacError("usage", `Cannot upload: ${state}`, {
    place: { file: path },
    remedy: "name a folder with adapter_config.json or config.json, or the folder of a run",
  });
}
