/**
 * MMLU as the benchmark asks it (Hendrycks et al. 2021): answered questions of the development set, then the question, and
 * the option whose letter has the highest logit behind "Answer:".
 *
 * Only the four letters are compared, so nothing is generated: one forward pass answers as many questions as its rows hold,
 * several to a row, kept apart as packed documents are.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { checkBatch } from "../batch.ts";
import { beginOfText, joinPieces, type MmluQuestion } from "../data/document.ts";
import { layOut } from "../data/layout.ts";
import { MMLU_LETTERS, mmluPrompt, mmluQuestion, mmluSurroundings } from "../data/mmlu.ts";
import { emptyRows, writeRow } from "../data/pack.ts";
import { textField } from "../data/rows.ts";
import type { Batch } from "../engine.ts";
import { logitsRows } from "../program.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Trainer } from "../trainer.ts";
import { fitFromFront, questionFiles, type QuestionOptions, questionRows } from "./rows.ts";

/** A question with its subject and the examples that may go before it. */
export interface MmluItem {
  /** The question. */
  readonly question: MmluQuestion;
  /** "" where neither file nor row names one. */
  readonly subject: string;
  /** In the order of the development set. */
  readonly examples: readonly MmluQuestion[];
}

/** What {@linkcode loadMmlu} takes beside the path. */
export interface MmluOptions extends QuestionOptions {
  /** Examples before each question. */
  readonly shots: number;
  /** Subjects that are asked about; all where it is not said. */
  readonly subjects?: readonly string[] | undefined;
  /** Questions at most, evenly from all subjects. */
  readonly limit?: number | undefined;
}

/** How the model answered a question. */
export interface MmluAnswer {
  /** The question and its subject. */
  readonly item: MmluItem;
  /** 0 to 3; undefined where the question alone is longer than a row, so that it was not asked. */
  readonly chosen: number | undefined;
  /** Logits of the letters A to D behind "Answer:"; none where it was not asked. */
  readonly logits: readonly number[];
  /** Examples that had no room in the row. */
  readonly dropped: number;
}

/** What {@linkcode evaluateMmlu} takes beside trainer and questions. */
export interface MmluEvaluation {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Ends the evaluation after the batch that is under way. */
  readonly signal?: AbortSignal | undefined;
}

/** Questions whose prompts are laid into rows together: enough for full rows, few enough that order stays about the same. */
const WINDOW = 256;

/**
 * The questions below a path: folders `test` and `dev` of CSV files SUBJECT_test.csv and SUBJECT_dev.csv, or one such file; or
 * rows with a field `subject`.
 * @param path A file or a folder
 * @param options Subjects, examples, limit
 * @throws {PacacError} io, data-invalid; usage, where there is no such subject, or fewer examples than asked for
 */
export async function loadMmlu(path: string, options: MmluOptions): Promise<MmluItem[]> {
  const { shots, subjects, limit } = options;
  const bySubject = new Map<string, MmluItem[]>();
  for (const file of await questionFiles(path)) {
    const around = await mmluSurroundings(file);
    for (const row of await questionRows(file, options)) {
      const subject = textField(row, "subject", { missing: around.subject });
      const question = mmluQuestion(row);
      const examples = around.examples.filter((other) => other.question !== question.question);
      const items = bySubject.get(subject) ?? [];
      bySubject.set(subject, items);
      items.push({ subject, question, examples: examples.slice(0, shots) });
    }
  }
  const names = subjects ?? [...bySubject.keys()];
  const chosen = names.map((name) => {
    const items = bySubject.get(name);
    if (items === undefined) throw noSubject(name, [...bySubject.keys()]);
    const short = items.find(({ examples }) => examples.length < shots);
    if (short !== undefined) throw tooFewExamples(name, { path, shots, there: short.examples });
    return items;
  });
  return evenly(chosen, limit ?? Infinity);
}

function noSubject(name: string, there: readonly string[]): PacacError {
  return new PacacError("usage", `Cannot ask about "${name}": there is no such subject`, {
    place: { field: "--subjects" },
    remedy: `the subjects are ${there.join(", ")}`,
  });
}

function tooFewExamples(
  subject: string,
  { path, shots, there }: { path: string; shots: number; there: readonly MmluQuestion[] },
): PacacError {
  const about = subject === "" ? "the questions" : subject;
  const state = `there are ${there.length} for ${about}`;
  return new PacacError("usage", `Cannot show ${shots} examples: ${state}`, {
    place: { file: path },
    remedy:
      `put dev/SUBJECT_dev.csv beside the folder of the tests, or give --shots ${there.length}`,
  });
}

/** One of each list in turn, until there are enough. */
function evenly<Item>(lists: readonly (readonly Item[])[], limit: number): Item[] {
  const taken: number[] = lists.map(() => 0);
  const total = lists.reduce((sum, { length }) => sum + length, 0);
  for (let left = Math.min(limit, total); left > 0;) {
    for (let i = 0; i < lists.length && left > 0; i++) {
      if (taken[i] === lists[i].length) continue;
      taken[i]++;
      left--;
    }
  }
  return lists.flatMap((list, i) => list.slice(0, taken[i]));
}

/**
 * The prompt of a question as token ids. Where it is longer than a row, the first examples go.
 * @param item The question
 * @param options Tokenizer, and tokens of a row
 * @returns Ids and examples dropped; undefined where the question alone is too long
 */
export function mmluTokens(
  { question, subject, examples }: MmluItem,
  { tokenizer, seqLen }: { readonly tokenizer: Tokenizer; readonly seqLen: number },
): { readonly ids: Int32Array; readonly dropped: number } | undefined {
  const begin = beginOfText(tokenizer);
  return fitFromFront(examples, (left) => {
    const ids = tokenizer.encode(mmluPrompt(question, { subject, examples: left }));
    return joinPieces([{ ids: begin, supervised: false }, { ids, supervised: false }]).ids;
  }, { room: seqLen });
}

/**
 * Answers questions.
 * @param trainer The model as it is now
 * @param items The questions
 * @param options Tokenizer, signal
 * @throws {PacacError} tokenizer-invalid, where a letter is no token; batch-invalid; weights-mismatch, where logits are no numbers
 */
export async function* evaluateMmlu(
  trainer: Trainer,
  items: readonly MmluItem[],
  { tokenizer, signal }: MmluEvaluation,
): AsyncGenerator<MmluAnswer, void, undefined> {
  const { batch, seqLen } = trainer.info;
  const letters = letterIds(tokenizer);
  for (let at = 0; at < items.length; at += WINDOW) {
    const prompts: Prompt[] = [];
    for (const item of items.slice(at, at + WINDOW)) {
      const fitted = mmluTokens(item, { tokenizer, seqLen });
      if (fitted !== undefined) prompts.push({ item, ...fitted });
      else yield { item, chosen: undefined, logits: [], dropped: item.examples.length };
    }
    const lengths = Int32Array.from(prompts, ({ ids }) => ids.length);
    const { begins, documents } = layOut(lengths, { seqLen, strategy: "best-fit" });
    const rows = Array.from(
      { length: begins.length - 1 },
      (_, row) => Array.from(documents.subarray(begins[row], begins[row + 1]), (i) => prompts[i]),
    );
    for (let row = 0; row < rows.length; row += batch) {
      if (signal?.aborted === true) return;
      const some = rows.slice(row, row + batch);
      const logits = await answerLogits(trainer, some);
      for (const [i, { item, dropped }] of some.flat().entries()) {
        const values = Array.from(letters, (id) => logits[i][id]);
        yield { item, dropped, logits: values, chosen: highest(values) };
      }
    }
  }
}

interface Prompt {
  readonly item: MmluItem;
  readonly ids: Int32Array;
  readonly dropped: number;
}

/** Logits [vocab] behind each prompt of a batch's rows, in order. */
async function answerLogits(
  trainer: Trainer,
  rows: readonly (readonly Prompt[])[],
): Promise<Float32Array[]> {
  const { engine, info } = trainer;
  const { batch, positions } = batchOf(rows, trainer);
  checkBatch(batch, info);
  return await trainer.exclusive(async () => {
    await engine.forward(batch);
    const logits: Float32Array[] = [];
    const chunk = logitsRows(info);
    for (let at = 0; at < positions.length; at += chunk) {
      const some = Int32Array.from(positions.slice(at, at + chunk));
      const values = await engine.logits(some);
      some.forEach((_, i) =>
        logits.push(values.slice(i * info.vocabSize, (i + 1) * info.vocabSize))
      );
    }
    return logits;
  });
}

/** A micro-batch of prompts, nothing trained on, and the position of each prompt's last token. */
function batchOf(
  rows: readonly (readonly Prompt[])[],
  { info: { batch, seqLen } }: Trainer,
): { batch: Batch; positions: number[] } {
  const arrays = emptyRows(batch * seqLen, 0);
  const positions: number[] = [];
  rows.forEach((prompts, row) => {
    const pieces = prompts.map(({ ids }) => ({ ids, supervised: new Uint8Array(ids.length) }));
    writeRow(arrays, pieces, { row, seqLen });
    let end = row * seqLen;
    for (const { ids } of prompts) positions.push((end += ids.length) - 1);
  });
  return { batch: arrays, positions };
}

/** Tokens of the letters as they follow "Answer:". */
function letterIds(tokenizer: Tokenizer): Int32Array {
  const before = tokenizer.encode("Answer:");
  const found = MMLU_LETTERS.map((letter) => {
    const ids = tokenizer.encode(`Answer: ${letter}`);
    const follows = ids.length === before.length + 1 && before.every((id, i) => id === ids[i]);
    return follows ? ids[before.length] : undefined;
  });
  const ids = found.filter((id) => id !== undefined);
  if (new Set(ids).size === MMLU_LETTERS.length) return Int32Array.from(ids);
  const missing = MMLU_LETTERS.filter((_, i) => found[i] === undefined);
  const state = missing.length === 0
    ? "two of the letters are the same token"
    : `" ${missing[0]}" is not one token`;
  throw new PacacError("tokenizer-invalid", `Cannot compare the options: ${state}`, {
    remedy: "MMLU needs a tokenizer that has a token for each letter A to D behind a space",
  });
}

/** The first of the highest. */
function highest(values: readonly number[]): number {
  if (values.some((value) => Number.isNaN(value))) {
    throw new PacacError("weights-mismatch", "Cannot compare the options: logits are no numbers", {
      remedy: "check the weights and the adapter: a value in them is no number",
    });
  }
  return values.indexOf(Math.max(...values));
}
