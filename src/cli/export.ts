/**
 * `export`: an adapter and its base become what other programs load.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { exportAdapter, resolveModel } from "../formats/mod.ts";
import { userPath } from "../knobs.ts";
import { option } from "./flags.ts";
import { print } from "./print.ts";
import { partOf } from "./run_parts.ts";

/** The command. */
export function exportCommand(): PlainCommand {
  return new Command()
    .argument(
      "<adapter>",
      "A run's folder, or an adapter's: peft's PaCA, the paper's, LoRA of that form",
    )
    .addOption(option.base())
    .addOption(option.exportKind())
    .addOption(option.exportOut())
    .addOption(option.exportDtype())
    .action((adapter, { base, to, out, dtype }) => {
      const model = resolveModel(userPath(base), { need: "weights" });
      const target = userPath(out);
      const folder = userPath(adapter);
      exportAdapter(partOf(folder, ["adapter_config.json"]) ?? folder, {
        ...{ to, base: model, out: target },
        ...(dtype === undefined ? {} : { dtype }),
      });
      print(target);
    }) as unknown as PlainCommand;
}
