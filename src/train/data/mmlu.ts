/**
 * MMLU: multiple choice questions, with the prompt of the benchmark (Hendrycks et al. 2021): a line that names the subject,
 * up to five answered questions of the development set, the question, and "Answer:". The letter is trained on.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PacacError } from "../../errors.ts";
import { kindOf, messageOf } from "../json.ts";
import { csvTextRows } from "./csv.ts";
import { type Document, type MmluQuestion, promptAndAnswer, type ReadContext } from "./document.ts";
import { decodeText } from "./lines.ts";
import { fieldValue, placeOf, type Row, textField } from "./rows.ts";

/** Letters of the options. */
export const MMLU_LETTERS = ["A", "B", "C", "D"];

/** Examples in the benchmark's prompt. */
const SHOTS = 5;

/** A file of examples has five questions. */
const MAX_EXAMPLES_BYTES = 1 << 20;

/**
 * The document of a question. Where examples and question do not fit into a row of the program, the last examples go, as in
 * the benchmark's own code; a question is never its own example.
 * @param row The row
 * @param context Tokenizer, examples, subject
 * @throws {PacacError} data-invalid
 */
export function readMmlu(row: Row, context: ReadContext): Document[] {
  const question = mmluQuestion(row);
  const subject = textField(row, "subject", { missing: context.subject ?? "" });
  const others = (context.examples ?? []).filter(({ question: text }) =>
    text !== question.question
  );
  let shots = shotsThatMayFit(others, context);
  for (;; shots--) {
    const prompt = mmluPrompt(question, { subject, examples: others.slice(0, shots) });
    const document = promptAndAnswer(prompt, ` ${MMLU_LETTERS[question.answer]}`, context);
    if (shots === 0 || document.ids.length <= context.seqLen) return [document];
  }
}

/** Tokens of examples as they stand in a prompt: each goes before many questions. */
const exampleTokens = new WeakMap<MmluQuestion, number>();

/** Examples that leave room for a question; how long the prompt becomes in truth is seen when it is whole. */
function shotsThatMayFit(
  examples: readonly MmluQuestion[],
  { tokenizer, seqLen }: ReadContext,
): number {
  let shots = 0, tokens = 0;
  for (const example of examples.slice(0, SHOTS)) {
    const known = exampleTokens.get(example) ?? tokenizer.encode(answered(example)).length;
    exampleTokens.set(example, known);
    tokens += known;
    if (tokens >= seqLen) break;
    shots++;
  }
  return shots;
}

/**
 * A question from a row: choices as a list, as choice0 to choice3, or as A to D; the answer as a number or a letter.
 * @param row The row
 * @throws {PacacError} data-invalid
 */
export function mmluQuestion(row: Row): MmluQuestion {
  const given = fieldValue(row, "answer");
  const text = typeof given === "number" ? `${given}` : textField(row, "answer").trim();
  const answer = /^[0-3]$/.test(text) ? Number(text) : MMLU_LETTERS.indexOf(text);
  if (answer < 0) {
    throw new PacacError("data-invalid", `Cannot use the row: "${text}" is no answer`, {
      place: placeOf(row, "answer"),
      remedy: "write it as A to D, or as 0 to 3",
    });
  }
  return { question: textField(row, "question"), choices: choicesOf(row), answer };
}

function choicesOf(row: Row): string[] {
  const list = fieldValue(row, "choices");
  if (list === undefined) {
    const lettered = fieldValue(row, "A") !== undefined;
    return MMLU_LETTERS.map((letter, i) => textField(row, lettered ? letter : `choice${i}`));
  }
  const items: unknown[] = Array.isArray(list) ? list : [];
  const texts = items.filter((item) => typeof item === "string");
  if (texts.length === MMLU_LETTERS.length && items.length === texts.length) return texts;
  const state = Array.isArray(list) ? `a list of ${items.length}` : kindOf(list);
  throw new PacacError("data-invalid", `Cannot use the row: "choices" is ${state}`, {
    place: placeOf(row, "choices"),
    remedy: "give it four texts",
  });
}

/**
 * The benchmark's prompt, which ends where the answer begins.
 * @param question The question
 * @param options Its subject ("" where there is none) and answered examples
 */
export function mmluPrompt(
  question: MmluQuestion,
  { subject, examples }: { readonly subject: string; readonly examples: readonly MmluQuestion[] },
): string {
  const about = subject === "" ? "" : ` about ${subject.replaceAll("_", " ")}`;
  const shown = examples.map(answered).join("");
  const opening = `The following are multiple choice questions (with answers)${about}.\n\n`;
  return opening + shown + asked(question);
}

function answered(example: MmluQuestion): string {
  return `${asked(example)} ${MMLU_LETTERS[example.answer]}\n\n`;
}

function asked({ question, choices }: MmluQuestion): string {
  const lines = choices.map((choice, i) => `${MMLU_LETTERS[i]}. ${choice}`);
  return [question, ...lines, "Answer:"].join("\n");
}

/** What a file's name and its neighbours tell of its questions. */
export interface MmluSurroundings {
  /** Of the file's questions; "" where its name tells none. */
  readonly subject: string;
  /** Answered questions of the development set. */
  readonly examples: readonly MmluQuestion[];
  /** Where the examples are. */
  readonly examplesFile?: string;
}

/**
 * Subject and examples of a file SUBJECT_test.csv: the examples are those of dev/SUBJECT_dev.csv beside its folder, or of the
 * same folder; none where there is no such file.
 * @param file Its path
 * @throws {PacacError} io, data-invalid
 */
export async function mmluSurroundings(file: string): Promise<MmluSurroundings> {
  const [, subject] = /^(.+)_(?:test|val|dev|auxiliary_train)\.csv$/.exec(basename(file)) ??
    ["", ""];
  if (subject === "") return { subject, examples: [] };
  const name = `${subject}_dev.csv`;
  const folder = dirname(file);
  for (const examplesFile of [join(dirname(folder), "dev", name), join(folder, name)]) {
    const size = (await stat(examplesFile).catch(() => undefined))?.size;
    if (size === undefined || size > MAX_EXAMPLES_BYTES) continue;
    const text = await readExamples(examplesFile);
    const rows = await csvTextRows(text, examplesFile);
    return { subject, examples: rows.map(mmluQuestion), examplesFile };
  }
  return { subject, examples: [] };
}

async function readExamples(file: string): Promise<string> {
  try {
    return decodeText(await readFile(file), { file });
  } catch (cause) {
    if (cause instanceof PacacError) throw cause;
    throw new PacacError("io", `Cannot read the data: ${messageOf(cause)}`, {
      place: { file },
      cause,
    });
  }
}
