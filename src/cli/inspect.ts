/**
 * `inspect`: the plan of a model description, without building it.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import { option } from "./flags.ts";
import { print } from "./print.ts";
import { compileSpec } from "./program.ts";

/** The command. */
export function inspectCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.gpu())
    .addOption(option.threads())
    .addOption(option.weights())
    .addOption(option.database())
    .addOption(option.defaults())
    .addOption(option.json())
    .action(async (spec, flags) => {
      const loaded = await loadSpec(userPath(spec));
      const compiled = await compileSpec(loaded, { ...flags, build: false });
      print(flags.json === true ? JSON.stringify(compiled.summary) : compiled.planText.trimEnd());
    }) as unknown as PlainCommand;
}
