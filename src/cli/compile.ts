/**
 * `compile`: a model description becomes a folder with a native trainer.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import { option } from "./flags.ts";
import { duration, megabytes, print, table } from "./print.ts";
import { compileSpec } from "./program.ts";

/** The command. */
export function compileCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .addOption(option.weights())
    .addOption(option.out())
    .addOption(option.emit())
    .addOption(option.time())
    .addOption(option.database())
    .addOption(option.defaults())
    .addOption(option.json())
    .action(async (spec, flags) => {
      const began = performance.now();
      const loaded = await loadSpec(userPath(spec));
      const checked = (performance.now() - began) / 1000;
      const compiled = await compileSpec(loaded, flags);
      const seconds = { check: checked, ...compiled.seconds };
      const total = (performance.now() - began) / 1000;
      const { dir, warm, plan } = compiled;
      if (flags.json === true) {
        print(JSON.stringify({ dir, warm, seconds: { ...seconds, total }, plan: planFacts(plan) }));
        return;
      }
      for (const text of compiled.printed) print(text);
      if (flags.time === true) print(timeTable(seconds, total));
      print(`${dir} (${duration(total)}${warm ? ", from cache" : ""})`);
      print(`  plan       ${dir}/plan.txt, arena ${megabytes(plan.arenaBytes)}`);
      print(`  next       deno task train ${spec} --data FILE${hint(flags.weights)}`);
    }) as unknown as PlainCommand;
}

function planFacts(plan: {
  readonly arenaBytes: number;
  readonly threads: number;
  readonly info: { readonly name: string; readonly target: string; readonly hash: string };
}): Record<string, unknown> {
  const { name, target, hash } = plan.info;
  return { name, target, hash, threads: plan.threads, arenaBytes: plan.arenaBytes };
}

function timeTable(seconds: Readonly<Record<string, number>>, total: number): string {
  const rows = Object.entries({ ...seconds, total });
  return table(rows.map(([stage, took]) => [`  ${stage}`, `${(1000 * took).toFixed(1)} ms`]));
}

function hint(weights: string | undefined): string {
  return ` --weights ${weights ?? "DIR"}`;
}
