/**
 * `data`: shows what a model would learn from data files: figures, and rows with the learnt tokens marked. Nothing is trained.
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import type { Command as PlainCommand } from "commander";
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { styleText } from "node:util";
import { PacacError } from "../errors.ts";
import { resolveModel } from "../formats/mod.ts";
import { environment, userPath } from "../knobs.ts";
import { loadSpec } from "../spec/load.ts";
import {
  type DataSummary,
  type Document,
  type LoadedData,
  loadTokenizer,
  summarize,
  type Tokenizer,
} from "../train/mod.ts";
import { describeData, readData } from "./data_input.ts";
import { option } from "./flags.ts";
import { grouped, heading, percent, print, table } from "./print.ts";

/** Tokens of a row where no description says it. */
const SEQ_LEN = 512;

/** Characters of the histogram's longest bar. */
const BAR = 40;

/** The command. */
export function dataCommand(): PlainCommand {
  return new Command()
    .argument(
      "<files...>",
      "Data: files, folders or cached data sets (hf:owner/name:split), path:weight each where they are mixed",
    )
    .addOption(option.model())
    .addOption(option.seqLen())
    .addOption(option.format())
    .addOption(option.map())
    .addOption(option.skipBad())
    .addOption(option.trainOn())
    .addOption(option.packing())
    .addOption(option.validation())
    .addOption(option.show())
    .addOption(option.json())
    .action(async (inputs, { model, ...flags }) => {
      const found = await findTokenizer(model);
      const tokenizer = await loadTokenizer(found.folder);
      const seqLen = flags.seqLen ?? found.seqLen;
      if (seqLen < 2) {
        throw new PacacError(
          "usage",
          "Cannot lay out rows of 1 token: nothing would be predicted",
          {
            remedy: "give --seq-len 2 at least",
          },
        );
      }
      const data = await readData(inputs, { ...flags, tokenizer, seqLen });
      const summary = summarize(data);
      const shown = flags.show === undefined ? [] : rowsToShow(data, flags.show, tokenizer);
      if (flags.json === true) print(jsonText(data, summary, shown));
      else print(reportText(data, summary, shown));
    }) as unknown as PlainCommand;
}

/** Where the tokenizer is, and how long a row is. */
async function findTokenizer(model: string): Promise<{ folder: string; seqLen: number }> {
  const path = userPath(model);
  if (path.endsWith(".ts")) {
    const { spec } = await loadSpec(path);
    const base = dirname(path), { seqLen } = spec.train;
    if (spec.model.kind === "architecture") {
      if (spec.model.folder !== "") return { folder: resolve(base, spec.model.folder), seqLen };
      throw new PacacError("model-not-found", "Cannot find a tokenizer: the model has no folder", {
        place: { file: path },
        remedy: "name a folder that has tokenizer.json with --model",
      });
    }
    return { folder: resolveModel(spec.model.source, { base, need: "config" }).folder, seqLen };
  }
  if (await isThere(join(path, "tokenizer.json"))) return { folder: path, seqLen: SEQ_LEN };
  if (await isThere(path)) return { folder: path, seqLen: SEQ_LEN };
  return { folder: resolveModel(model, { need: "config" }).folder, seqLen: SEQ_LEN };
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}

/** A run of a document's text that is learnt or given. */
interface Span {
  readonly text: string;
  readonly learnt: boolean;
}

/** A document to print. */
interface Shown {
  readonly file: string;
  readonly line: number;
  readonly tokens: number;
  readonly spans: readonly Span[];
}

/** The first documents of rows that are trained on. */
function rowsToShow(data: LoadedData, count: number, tokenizer: Tokenizer): Shown[] {
  const { store, files, train: { seqLen } } = data;
  const { index } = store;
  const numbers = Array.from({ length: Math.min(count, store.documents) }, (_, i) => i);
  return numbers.map((number) => ({
    file: files[index.files[number]].file,
    line: index.lines[number],
    tokens: store.lengthOf(number),
    spans: spansOf(store.read(number, seqLen), tokenizer),
  }));
}

/** The first token is predicted from nothing, so it is never learnt. */
function spansOf({ ids, supervised }: Document, tokenizer: Tokenizer): Span[] {
  const spans: Span[] = [];
  const isLearnt = (t: number) => t > 0 && supervised[t] === 1;
  for (let begin = 0; begin < ids.length;) {
    let end = begin + 1;
    while (end < ids.length && isLearnt(end) === isLearnt(begin)) end++;
    spans.push({ text: tokenizer.decode(ids.subarray(begin, end)), learnt: isLearnt(begin) });
    begin = end;
  }
  return spans;
}

function jsonText(data: LoadedData, summary: DataSummary, shown: readonly Shown[]): string {
  const { files, skipped, cached, identity: { fingerprint }, train: { seqLen, mix } } = data;
  return JSON.stringify({
    seqLen,
    files,
    skipped,
    ...summary,
    ...(mix === undefined ? {} : { mix }),
    cached,
    fingerprint,
    ...(shown.length === 0 ? {} : { shown }),
  });
}

function reportText(data: LoadedData, summary: DataSummary, shown: readonly Shown[]): string {
  const { lengths, duplicates } = summary;
  const parts = [
    `${heading("Files")}\n${filesText(data)}`,
    `${heading("Rows")}\n${describeData(data)}\n${grouped(duplicates)} documents are duplicates` +
    (data.cached ? "\ntokens come from the cache" : ""),
    `${heading("Tokens of a document")}\nshortest ${grouped(lengths.min)}, half up to ` +
    `${grouped(lengths.median)}, 95 % up to ${grouped(lengths.p95)}, longest ` +
    `${grouped(lengths.max)}\n${histogramText(summary)}`,
    ...shown.map(shownText),
  ];
  return parts.join("\n\n");
}

function filesText({ files }: LoadedData): string {
  return table([
    ["file", "is", "format", "rows", "documents"],
    ...files.map(({ file, container, compression, format, rows, documents }) => [
      file,
      compression === "none" ? container : `${container} in ${compression}`,
      format,
      grouped(rows),
      grouped(documents),
    ]),
  ]);
}

function histogramText({ histogram, train }: DataSummary): string {
  const most = Math.max(1, ...histogram.map(({ documents }) => documents));
  const rows = histogram.map(({ from, to, documents }) => [
    `${grouped(from)} to ${grouped(to - 1)}`,
    grouped(documents),
    percent(documents / Math.max(1, train.documents)),
    "#".repeat(Math.ceil(documents / most * BAR)).padEnd(BAR),
  ]);
  return table(rows);
}

function shownText({ file, line, tokens, spans }: Shown): string {
  const colours = process.stdout.isTTY === true && environment("NO_COLOR") === undefined;
  const mark = ({ text, learnt }: Span): string => {
    const safe = withoutControls(text);
    if (!learnt) return safe;
    return colours ? styleText("green", safe, { stream: process.stdout }) : `[${safe}]`;
  };
  const place = line === 0 ? file : `${file}:${line}`;
  return `${heading(`${place}, ${grouped(tokens)} tokens`)}\n${spans.map(mark).join("")}`;
}

/** Control characters would reach the terminal as commands. */
function withoutControls(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what is looked for
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}
