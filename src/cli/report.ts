/**
 * `report`: makes a run's page again from what its folder holds, or one page of several runs side by side.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { basename, join } from "node:path";
import { PacacError } from "../errors.ts";
import { isFolder, publishText } from "../formats/mod.ts";
import { userPath } from "../knobs.ts";
import { comparePage, readRun, runPage } from "../report/page.ts";
import { option } from "./flags.ts";
import { note, print } from "./print.ts";

/** The page in a run's folder. */
const PAGE = "report.html";

/** The page of several runs, where no other name is given. */
const COMPARISON = "comparison.html";

/** The command. */
export function reportCommand(): PlainCommand {
  return new Command()
    .argument("<runs...>", "Folders that train wrote into: one for its report, more to compare")
    .addOption(option.page())
    .action((given, { out }) => {
      const folders = [...new Set(given)];
      folders.forEach(requireFolder);
      if (folders.length === 1) return print(writeReport(userPath(folders[0]), out));
      const runs = folders.map((folder) => readRun(userPath(folder), folder));
      const file = userPath(out ?? COMPARISON);
      publishText(file, comparePage(runs));
      note(`${runs.length} runs in`);
      print(file);
    }) as unknown as PlainCommand;
}

function requireFolder(given: string): void {
  if (isFolder(userPath(given))) return;
  throw new PacacError("io", "Cannot report on the run: there is no such folder", {
    place: { file: userPath(given) },
    remedy: "name a folder that `deno task train` wrote into",
  });
}

/**
 * Writes a run's report.
 * @param runDir The run's folder
 * @param out The file, where it is not report.html in the folder
 * @returns The file
 * @throws {PacacError} io, run-invalid
 */
export function writeReport(runDir: string, out?: string): string {
  const file = out === undefined ? join(runDir, PAGE) : userPath(out);
  publishText(file, runPage(readRun(runDir, basename(runDir))));
  return file;
}
