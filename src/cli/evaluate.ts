/**
 * `evaluate`: asks a model the questions of a benchmark and counts the right answers.
 *
 * The description is compiled as it is trained, in rows of --seq-len where that is given; GSM8K writes one answer at a time, so
 * one row is enough. Ctrl-C prints what has been answered.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PacacError } from "../errors.ts";
import { userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import { type LoadedSpec, loadSpec } from "../spec/load.ts";
import {
  evaluateGsm8k,
  evaluateMmlu,
  generate,
  type Gsm8kItem,
  loadGsm8k,
  loadMmlu,
  loadTokenizer,
  type MmluItem,
  type Score,
  scoreOf,
  type Tokenizer,
  type Trainer,
} from "../train/mod.ts";
import { option } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { duration, grouped, heading, note, percent, print, table } from "./print.ts";
import { loadOptions, openProgram, openSpec, type Program, tokenizerFolder } from "./program.ts";
import { Status } from "./progress.ts";
import { Exit } from "./run.ts";

/** Examples of MMLU's own prompt. */
const MMLU_SHOTS = 5;

/** Longest answer of GSM8K, in tokens. */
const ANSWER_TOKENS = 256;

/** Between states of the progress; elsewhere than on a terminal every tenth is printed. */
const SHOWN_MS = 200;

/** The command. */
export function evaluateCommand(): PlainCommand {
  return new Command()
    .argument("<program>", "Model description (a .ts file), or a folder that compile wrote")
    .addOption(option.task())
    .addOption(option.questions())
    .addOption(option.shots())
    .addOption(option.limit())
    .addOption(option.subjects())
    .addOption(option.weights())
    .addOption(option.adapter())
    .addOption(option.init())
    .addOption(option.seqLen())
    .addOption(option.maxTokens().default(ANSWER_TOKENS))
    .addOption(option.json())
    .addOption(option.target())
    .addOption(option.isa())
    .addOption(option.threads())
    .action(async (path, flags) => {
      using interrupt = new Interrupt("Stopping after the answers under way");
      const { signal } = interrupt;
      const questions = await loadQuestions(flags, signal);
      const program = await open(path, flags);
      await using trainer = await program.module.load(loadOptions(flags));
      const tokenizer = await loadTokenizer(await tokenizerFolder(trainer));
      const found = await ask(questions, { trainer, tokenizer, signal, flags });
      if (flags.json === true) print(jsonText(found, flags));
      else print(tableText(found));
      notes(found, trainer.info.seqLen).forEach(note);
      if (found.answered < found.questions) throw new Exit(interrupt.exitCode);
    }) as unknown as PlainCommand;
}

/** Flags, as typed. */
interface EvaluateFlags {
  readonly task: "mmlu" | "gsm8k";
  readonly data: string;
  readonly shots?: number | undefined;
  readonly limit?: number | undefined;
  readonly subjects?: readonly string[] | undefined;
  readonly weights?: string | undefined;
  readonly adapter?: string | undefined;
  readonly seqLen?: number | undefined;
  readonly maxTokens: number;
  readonly target: "cpu" | "cuda" | "reference";
  readonly isa: string;
  readonly threads?: number | undefined;
}

type Questions =
  | { readonly task: "mmlu"; readonly items: readonly MmluItem[] }
  | {
    readonly task: "gsm8k";
    readonly items: readonly Gsm8kItem[];
    readonly examples: readonly Gsm8kItem[];
  };

/** Before anything is compiled: a wrong path is told at once. */
async function loadQuestions(flags: EvaluateFlags, signal: AbortSignal): Promise<Questions> {
  const { task, data, shots, limit, subjects } = flags;
  const path = userPath(data);
  if (task === "mmlu") {
    const items = await loadMmlu(path, { shots: shots ?? MMLU_SHOTS, subjects, limit, signal });
    return { task, items: some(items, path) };
  }
  if (subjects !== undefined) {
    throw new PacacError("usage", "Cannot choose subjects: gsm8k has none", {
      place: { field: "--subjects" },
      remedy: "leave --subjects out",
    });
  }
  const items = await loadGsm8k(path, { limit, signal });
  return { task, items: some(items, path), examples: await gsm8kExamples(path, shots ?? 0) };
}

function some<Item>(items: readonly Item[], path: string): readonly Item[] {
  if (items.length > 0) return items;
  throw new PacacError("data-invalid", "Cannot evaluate: there are no questions", {
    place: { file: path },
    remedy: "name a file or a folder that has some",
  });
}

/** The first rows of the train.jsonl that is beside the questions. */
async function gsm8kExamples(path: string, shots: number): Promise<Gsm8kItem[]> {
  if (shots === 0) return [];
  const isFolder = (await stat(path)).isDirectory();
  const file = join(isFolder ? path : dirname(path), "train.jsonl");
  const examples = await loadGsm8k(file, { limit: shots });
  if (examples.length === shots) return examples;
  throw new PacacError("usage", `Cannot show ${shots} examples: there are ${examples.length}`, {
    place: { file },
    remedy: `give --shots ${examples.length}`,
  });
}

async function open(path: string, flags: EvaluateFlags): Promise<Program> {
  const { task, target, isa, threads, weights, seqLen } = flags;
  const compile = { target, isa, threads, weights };
  const full = userPath(path);
  if ((await stat(full).catch(() => undefined))?.isDirectory() === true) {
    if (seqLen === undefined) return await openProgram(path, compile);
    throw new PacacError("usage", "Cannot change the rows of a compiled program", {
      place: { field: "--seq-len" },
      remedy: "name the model description in place of the folder, or leave --seq-len out",
    });
  }
  const loaded = reshaped(await loadSpec(full), {
    ...(task === "gsm8k" ? { batch: 1, accumulate: 1 } : {}),
    ...(seqLen === undefined ? {} : { seqLen }),
  });
  const out = join(ROOT, "generated", `${loaded.spec.name}-${target}-${task}`);
  return await openSpec(loaded, { ...compile, out });
}

function reshaped(
  loaded: LoadedSpec,
  shape: { readonly batch?: number; readonly accumulate?: number; readonly seqLen?: number },
): LoadedSpec {
  const { spec } = loaded;
  return { ...loaded, spec: { ...spec, train: { ...spec.train, ...shape } } };
}

/** What was answered, whatever the benchmark. */
interface Found {
  readonly questions: number;
  /** Answered, and found too long to ask. */
  readonly answered: number;
  /** Right and wrong by subject. */
  readonly subjects: ReadonlyMap<string, readonly boolean[]>;
  /** Questions longer than a row. */
  readonly tooLong: number;
  /** Questions before which examples were dropped, and examples dropped in all. */
  readonly shortened: number;
  readonly dropped: number;
  readonly seconds: number;
}

/** One question's answer. */
interface Answered {
  readonly subject: string;
  /** Undefined where it was not asked. */
  readonly correct: boolean | undefined;
  readonly dropped: number;
}

interface Asking {
  readonly trainer: Trainer;
  readonly tokenizer: Tokenizer;
  readonly signal: AbortSignal;
  readonly flags: EvaluateFlags;
}

async function* answers(questions: Questions, asking: Asking): AsyncGenerator<Answered, void> {
  const { trainer, tokenizer, signal } = asking;
  if (questions.task === "mmlu") {
    for await (
      const { item, chosen, dropped } of evaluateMmlu(trainer, questions.items, {
        tokenizer,
        signal,
      })
    ) {
      const correct = chosen === undefined ? undefined : chosen === item.question.answer;
      yield { subject: item.subject, correct, dropped };
    }
    return;
  }
  const given = { tokenizer, signal, examples: questions.examples, ...writing(asking) };
  for await (const { item, written, number, dropped } of evaluateGsm8k(questions.items, given)) {
    const correct = written === undefined ? undefined : number === item.number;
    yield { subject: "", correct, dropped };
  }
}

/** Who writes GSM8K's answers: greedy, to the end of the text or --max-tokens. */
function writing(
  { trainer, tokenizer, signal, flags: { maxTokens } }: Asking,
): { readonly write: (prompt: string) => AsyncIterable<string>; readonly room: number } {
  const { seqLen } = trainer.info;
  return {
    write: (prompt) => generate(trainer, { tokenizer, prompt, maxTokens, signal }),
    // Where row and answer leave little room, the oldest tokens are forgotten while it is written.
    room: Math.max(seqLen - maxTokens, Math.floor(seqLen / 2)),
  };
}

async function ask(questions: Questions, asking: Asking): Promise<Found> {
  const subjects = new Map<string, boolean[]>();
  const total = questions.items.length;
  let answered = 0, right = 0, asked = 0, tooLong = 0, shortened = 0, dropped = 0;
  const status = new Status();
  const began = performance.now();
  let shown = -Infinity;
  try {
    for await (const answer of answers(questions, asking)) {
      answered++;
      if (answer.correct === undefined) tooLong++;
      else {
        asked++;
        if (answer.correct) right++;
        const results = subjects.get(answer.subject) ?? [];
        subjects.set(answer.subject, results);
        results.push(answer.correct);
        if (answer.dropped > 0) shortened++;
        dropped += answer.dropped;
      }
      const now = performance.now();
      if (now - shown >= SHOWN_MS) {
        shown = now;
        const left = (now - began) / 1000 / answered * (total - answered);
        status.show(
          `${grouped(answered)} of ${grouped(total)} questions  ${percent(right / asked)} right  ` +
            `${duration(left)} left`,
        );
      }
      // An engine that computes on this thread, as the reference's, leaves signals no turn otherwise.
      await new Promise((resume) => setTimeout(resume));
    }
  } finally {
    status.end();
  }
  const seconds = (performance.now() - began) / 1000;
  return { questions: total, answered, subjects, tooLong, shortened, dropped, seconds };
}

function totalOf({ subjects }: Found): Score {
  return ofResults([...subjects.values()].flat());
}

function ofResults(results: readonly boolean[]): Score {
  return scoreOf(results.filter(Boolean).length, results.length);
}

function tableText(found: Found): string {
  const row = (name: string, { questions, correct, accuracy, standardError }: Score) => [
    name,
    grouped(questions),
    grouped(correct),
    Number.isNaN(accuracy) ? "" : percent(accuracy),
    Number.isNaN(standardError) ? "" : `± ${percent(standardError)}`,
  ];
  const named = [...found.subjects].filter(([name]) => name !== "").sort(([a], [b]) =>
    a < b ? -1 : 1
  );
  return `${heading("Answers")}\n${
    table([
      ["", "questions", "right", "accuracy", "standard error"],
      ...named.map(([name, results]) => row(name, ofResults(results))),
      row("all", totalOf(found)),
    ])
  }`;
}

function jsonText(found: Found, flags: EvaluateFlags): string {
  const { questions, answered, subjects, tooLong, shortened, dropped, seconds } = found;
  const { task, shots = task === "mmlu" ? MMLU_SHOTS : 0 } = flags;
  const { questions: scored, ...score } = totalOf(found);
  return JSON.stringify({
    ...{ task, shots, questions, complete: answered === questions, scored, ...score },
    ...{ tooLong, shortened, dropped, seconds },
    ...(task === "mmlu"
      ? {
        subjects: Object.fromEntries([...subjects].map(([name, results]) => [
          name,
          ofResults(results),
        ])),
      }
      : {}),
  });
}

/** What a person should know of the figures. */
function notes(found: Found, seqLen: number): string[] {
  const { questions, answered, tooLong, shortened, dropped, seconds } = found;
  const lines = [`${grouped(answered)} of ${grouped(questions)} in ${duration(seconds)}`];
  if (shortened > 0) {
    lines.push(
      `${grouped(shortened)} prompts were longer than ${seqLen} tokens: ${grouped(dropped)} ` +
        "examples were dropped from their fronts; --seq-len gives longer rows",
    );
  }
  if (tooLong > 0) {
    lines.push(
      `${grouped(tooLong)} questions were not asked: alone they are too long for ${seqLen} ` +
        "tokens; --seq-len gives longer rows",
    );
  }
  if (answered < questions) lines.push("stopped early: the figures are of what was answered");
  return lines;
}
