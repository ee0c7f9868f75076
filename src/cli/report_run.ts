/**
 * What `train` keeps of a run beside its checkpoints: events, samples, and what the report is made from.
 * @module
 */
import { join } from "node:path";
import {
  JsonlLogger,
  type LoadedData,
  Loggers,
  type SampleOptions,
  samplePrompts,
  TensorBoardLogger,
  type Tokenizer,
  type Trainer,
} from "../train/mod.ts";
import { note } from "./print.ts";

/** Samples where their number is not said, and the seconds that they may take each time. */
const [SAMPLES, SAMPLE_SECONDS] = [2, 8];

/**
 * Lines of JSON always, and what was asked for beside them.
 * @param trainer The trainer
 * @param options The run's folder, and the form that was asked for
 * @throws {PacacError} io
 */
export function openLoggers(
  { stepsDone }: Trainer,
  { runDir, log }: { readonly runDir: string; readonly log: "tensorboard" | undefined },
): Loggers {
  const lines = new JsonlLogger(join(runDir, "metrics.jsonl"), stepsDone);
  if (log === undefined) return new Loggers([lines]);
  return new Loggers([lines, new TensorBoardLogger(join(runDir, "tensorboard"), stepsDone)]);
}

/**
 * Which samples are taken; those that were not asked for must not take long.
 * @param data Loaded data
 * @param options How many, where it is said; the tokenizer
 */
export function samplesOf(
  data: LoadedData,
  { count, tokenizer }: { readonly count: number | undefined; readonly tokenizer: Tokenizer },
): SampleOptions {
  const prompts = samplePrompts(data, { count: count ?? SAMPLES, tokenizer });
  if (count !== undefined) return { prompts, tokenizer };
  return {
    prompts,
    tokenizer,
    limitSeconds: SAMPLE_SECONDS,
    onGivenUp: () => note("no samples: they take too long here; --samples N asks for them"),
  };
}
