/**
 * What the card of a run's adapter says: the data, the settings, how the losses went, the command.
 *
 * Nothing in it depends on the time or on kills, and paths are shortened to names: cards are made public.
 * @module
 */
import { basename, join } from "node:path";
import { shareOf } from "./data_input.ts";
import { fileSize } from "../formats/mod.ts";
import type { CardFacts, FlagValue, RunFile, Trainer } from "../train/mod.ts";
import { quote } from "./print.ts";

/** What of a run its card is made of. */
export interface CardSource {
  readonly runDir: string;
  readonly run: RunFile;
}

/**
 * The facts of a run's card.
 * @param trainer The trainer, at the end
 * @param source The run's folder and file
 */
export function cardOf({ info, stepsDone, run }: Trainer, source: CardSource): CardFacts {
  const { data, flags, program, versions } = source.run;
  const { first, last } = lossesIn(source.runDir);
  const rate = run.plan?.schedule.learningRate ?? info.optimizer.learningRate;
  const kind = run.plan?.schedule.kind ?? info.schedule.kind;
  const rows = `${info.batch * info.accumulate} rows of ${info.seqLen} tokens`;
  return {
    data: data.files.map(({ file, sha256 }) => `${basename(file)} (SHA-256 ${sha256})`),
    datasets: datasetsIn(flags["--data"]),
    figures: [
      ["steps", `${stepsDone}, each of ${rows}`],
      ...(first === undefined ? [] : [["training loss, first step", first] as const]),
      ...(last === undefined ? [] : [["training loss, last step", last] as const]),
      ...(run.best === undefined
        ? []
        : [["lowest validation loss", `${run.best.loss} after step ${run.best.step}`] as const]),
      ["learning rate", `${rate}, ${kind}`],
      ["optimiser", `${info.optimizer.kind}, weight decay ${info.optimizer.weightDecay}`],
      ["rank, alpha", `${info.rank}, ${info.alpha}`],
      ["storage of the base", info.weights],
    ],
    command: commandOf(basename(program.path), flags),
    versions,
  };
}

function datasetsIn(data: FlagValue | undefined): string[] {
  const inputs = data === undefined || data === true ? [] : [data].flat();
  return inputs.flatMap((input) => /^hf:([^@:]+)/.exec(input)?.[1] ?? []);
}

/** Flags whose value may be a path. */
const PATHS: readonly string[] = ["--data", "--weights", "--adapter", "--validation"];

function commandOf(program: string, flags: RunFile["flags"]): string {
  const words = Object.entries(flags).flatMap(([flag, value]) => {
    if (value === true) return [flag];
    return [value].flat().flatMap((one) => {
      const isPath = PATHS.includes(flag) && !one.startsWith("hf:") &&
        !(flag === "--validation" && shareOf(one) !== undefined);
      return [flag, quote(isPath ? basename(one) : one)];
    });
  });
  return ["deno task train", quote(program), ...words].join(" ");
}

/** Losses of the first and the last step that the run's log has. */
function lossesIn(runDir: string): { readonly first?: string; readonly last?: string } {
  const path = join(runDir, "metrics.jsonl");
  if (fileSize(path) === undefined) return {};
  const losses = [...Deno.readTextFileSync(path).matchAll(/"type":"step".*?"loss":([-\d.e+]+)/g)];
  const [first, last] = [losses.at(0)?.[1], losses.at(-1)?.[1]];
  return first === undefined || last === undefined ? {} : { first, last };
}
