/**
 * `unpack`: a GGUF file becomes a model folder, with which training starts as with any other.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { unpackGguf } from "../formats/mod.ts";
import { userPath } from "../knobs.ts";
import { option } from "./flags.ts";
import { print } from "./print.ts";

/** The command. */
export function unpackCommand(): PlainCommand {
  return new Command()
    .argument("<file>", "GGUF file of a llama or qwen2 model, quantised or not")
    .addOption(option.modelDir())
    .addOption(option.modelDtype())
    .action((file, { out, dtype }) => {
      const folder = userPath(out);
      unpackGguf(userPath(file), folder, { dtype });
      print(folder);
      print(`  next       deno task train SPEC --weights ${out} --data FILE`);
    }) as unknown as PlainCommand;
}
