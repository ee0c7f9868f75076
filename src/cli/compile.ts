/**
 * `compile`: a model description becomes a folder with a native trainer.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import type { Compiled } from "../compile.ts";
import { userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import { option } from "./flags.ts";
import { duration, megabytes, print, table } from "./print.ts";
import { compileSpec } from "./program.ts";
import { writeReference } from "./standalone.ts";

/** The command. */
export function compileCommand(): PlainCommand {
  return new Command()
    .argument("<spec>", "Model description, a .ts file")
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.gpu())
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
      const { dir, warm, plan, standalone } = compiled;
      if (standalone !== undefined) await writeReference(standalone.folder, { loaded, flags });
      if (flags.json === true) {
        const facts = { dir, warm, seconds: { ...seconds, total }, plan: planFacts(plan) };
        print(JSON.stringify({ ...facts, ...(standalone === undefined ? {} : { standalone }) }));
        return;
      }
      for (const text of compiled.printed) print(text);
      if (flags.time === true) print(timeTable(seconds, total));
      print(`${dir} (${duration(total)}${warm ? ", from cache" : ""})`);
      print(`  plan       ${dir}/plan.txt, arena ${megabytes(plan.arenaBytes)}`);
      print(`  next       ${next(spec, { ...flags, standalone })}`);
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

/** What to type now. */
function next(
  spec: string,
  { standalone, weights, target }: {
    readonly standalone: Compiled["standalone"];
    readonly weights?: string | undefined;
    readonly target: string;
  },
): string {
  if (standalone !== undefined) {
    const { folder, build } = standalone;
    return `on a machine with a GPU, in a copy of ${folder}:\n    ${build}\n    ./check`;
  }
  const on = target === "cpu" ? "" : ` --target ${target}`;
  return `deno task train ${spec}${on} --data FILE --weights ${weights ?? "DIR"}`;
}
