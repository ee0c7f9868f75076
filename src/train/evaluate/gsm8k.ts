/**
 * GSM8K (Cobbe et al. 2021): the model writes its way to an answer, and the number behind "####" is compared.
 *
 * Questions are put as `train --map question=instruction,answer=output` teaches them: as a user's turn where the tokenizer has a
 * chat template, else in Alpaca's words. Who writes the answer is not known here: a function does.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { alpacaPrompt } from "../data/alpaca.ts";
import { placeOf, type Row, textField } from "../data/rows.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { fitFromFront, questionFiles, type QuestionOptions, questionRows } from "./rows.ts";

/** A question with its worked answer, which ends in "#### NUMBER". */
export interface Gsm8kItem {
  /** The question. */
  readonly question: string;
  /** The worked answer. */
  readonly answer: string;
  /** The number behind "####". */
  readonly number: number;
}

/** What {@linkcode loadGsm8k} takes beside the path. */
export interface Gsm8kOptions extends QuestionOptions {
  /** Questions at most, the first ones. */
  readonly limit?: number | undefined;
}

/** How the model answered a question. */
export interface Gsm8kAnswer {
  /** The question. */
  readonly item: Gsm8kItem;
  /** What the model wrote; undefined where the question alone is longer than a row, so that it was not asked. */
  readonly written: string | undefined;
  /** The number behind "####" in it, where there is one. */
  readonly number: number | undefined;
  /** Examples that had no room in the row. */
  readonly dropped: number;
}

/** What {@linkcode evaluateGsm8k} takes beside the questions. */
export interface Gsm8kEvaluation {
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Goes on from a prompt greedily, piece by piece. */
  readonly write: (prompt: string) => AsyncIterable<string>;
  /** Answered questions that go before each. */
  readonly examples?: readonly Gsm8kItem[];
  /** Tokens that a prompt may have. */
  readonly room: number;
  /** Ends the evaluation; the question under way is not counted. */
  readonly signal?: AbortSignal | undefined;
}

/** A number behind "####" that is surely whole: something follows it. */
const FINISHED = /####\s*\$?-?[\d,]*\.?\d+\s*[^\d.,\s]|####\s*\$?-?[\d,]*\.?\d+[.,]?\s*\n/;

/**
 * The questions of a file, or of a folder's files whose names say `test`.
 * @param path A file or a folder
 * @param options Limit
 * @throws {PacacError} io, data-invalid
 */
export async function loadGsm8k(path: string, options: Gsm8kOptions = {}): Promise<Gsm8kItem[]> {
  const { limit = Infinity } = options;
  const items: Gsm8kItem[] = [];
  for (const file of await questionFiles(path)) {
    for (const row of await questionRows(file, options)) {
      if (items.length === limit) return items;
      items.push(itemOf(row));
    }
  }
  return items;
}

function itemOf(row: Row): Gsm8kItem {
  const answer = textField(row, "answer");
  const number = finalNumber(answer);
  if (number !== undefined) return { question: textField(row, "question"), answer, number };
  throw new PacacError("data-invalid", `Cannot use the row: its answer has no "#### NUMBER"`, {
    place: placeOf(row, "answer"),
    remedy: 'end the answer in a line "#### 18"',
  });
}

/**
 * The number behind the last "####" of a text: commas between figures, a dollar sign before it and a full stop behind it do not
 * count.
 * @param text An answer
 */
export function finalNumber(text: string): number | undefined {
  const [, figures] = [...text.matchAll(/####\s*\$?(-?[\d,]*\.?\d+)/g)].at(-1) ?? [];
  return figures === undefined ? undefined : Number(figures.replaceAll(",", ""));
}

/**
 * The prompt of a question, which ends where the answer begins.
 * @param item The question
 * @param options Tokenizer, and answered questions that go before it
 * @throws {PacacError} tokenizer-invalid
 */
export function gsm8kPrompt(
  { question }: Gsm8kItem,
  { tokenizer, examples }: {
    readonly tokenizer: Tokenizer;
    readonly examples: readonly Gsm8kItem[];
  },
): string {
  if (!tokenizer.hasChatTemplate) {
    const shown = examples.map((example) =>
      `${alpacaPrompt({ instruction: example.question })}${example.answer}\n\n`
    );
    return shown.join("") + alpacaPrompt({ instruction: question });
  }
  const turns = examples.flatMap((example) => [
    { role: "user", content: example.question },
    { role: "assistant", content: example.answer },
  ]);
  return tokenizer.chat([...turns, { role: "user", content: question }], {
    generationPrompt: true,
  });
}

/**
 * Answers questions, one after another.
 * @param items The questions
 * @param options Who writes, tokenizer, examples, signal
 * @throws {PacacError} tokenizer-invalid, and what writing throws
 */
export async function* evaluateGsm8k(
  items: readonly Gsm8kItem[],
  options: Gsm8kEvaluation,
): AsyncGenerator<Gsm8kAnswer, void, undefined> {
  const { tokenizer, write, examples = [], room, signal } = options;
  for (const item of items) {
    const promptOf = (left: readonly Gsm8kItem[]) =>
      gsm8kPrompt(item, { tokenizer, examples: left });
    const fitted = fitFromFront(examples, (left) => tokenizer.encode(promptOf(left)), { room });
    if (fitted === undefined) {
      yield { item, written: undefined, number: undefined, dropped: examples.length };
      continue;
    }
    const { dropped } = fitted;
    let written = "";
    for await (const piece of write(promptOf(examples.slice(dropped)))) {
      written += piece;
      if (signal?.aborted === true) return;
      if (FINISHED.test(written)) break;
    }
    if (signal?.aborted === true) return;
    yield { item, written, number: finalNumber(written), dropped };
  }
}
