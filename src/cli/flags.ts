/**
 * The flags of src/knobs.ts as commander's options, with checks of their values.
 * @module
 */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { environment, FLAGS } from "../knobs.ts";
import { PacacError } from "../errors.ts";
import type { ScheduleSpan } from "../train/mod.ts";

/** Tokens of the longest context that can be compiled for. */
const MAX_CONTEXT = 131_072;

/** Builders of options, one for each flag that has values or a default. */
export const option = {
  target: () =>
    new Option(FLAGS.target.flags, FLAGS.target.meaning).choices(FLAGS.target.choices)
      .default(FLAGS.target.default),
  gpu: () => new Option(FLAGS.gpu.flags, FLAGS.gpu.meaning).choices(FLAGS.gpu.choices),
  isa: () =>
    new Option(FLAGS.isa.flags, FLAGS.isa.meaning).choices(FLAGS.isa.choices)
      .default(FLAGS.isa.default),
  threads: () => new Option(FLAGS.threads.flags, FLAGS.threads.meaning).argParser(count),
  out: () => new Option(FLAGS.out.flags, FLAGS.out.meaning),
  emit: () => new Option(FLAGS.emit.flags, FLAGS.emit.meaning).argParser(emitted),
  time: () => new Option(FLAGS.time.flags, FLAGS.time.meaning),
  json: () => new Option(FLAGS.json.flags, FLAGS.json.meaning),
  weights: () => new Option(FLAGS.weights.flags, FLAGS.weights.meaning),
  adapter: () => new Option(FLAGS.adapter.flags, FLAGS.adapter.meaning),
  init: () => new Option(FLAGS.init.flags, FLAGS.init.meaning).argParser(whole),
  data: () =>
    new Option(FLAGS.data.flags, FLAGS.data.meaning).argParser(gathered).makeOptionMandatory(),
  trainData: () => new Option(FLAGS.data.flags, FLAGS.data.meaning).argParser(gathered),
  format: () => new Option(FLAGS.format.flags, FLAGS.format.meaning).choices(FLAGS.format.choices),
  map: () => new Option(FLAGS.map.flags, FLAGS.map.meaning),
  skipBad: () => new Option(FLAGS.skipBad.flags, FLAGS.skipBad.meaning).argParser(whole),
  trainOn: () =>
    new Option(FLAGS.trainOn.flags, FLAGS.trainOn.meaning).choices(FLAGS.trainOn.choices),
  packing: () =>
    new Option(FLAGS.packing.flags, FLAGS.packing.meaning).choices(FLAGS.packing.choices),
  validation: () => new Option(FLAGS.validation.flags, FLAGS.validation.meaning),
  model: () => new Option(FLAGS.model.flags, FLAGS.model.meaning).makeOptionMandatory(),
  seqLen: () => new Option(FLAGS.seqLen.flags, FLAGS.seqLen.meaning).argParser(count),
  show: () => new Option(FLAGS.show.flags, FLAGS.show.meaning).argParser(count),
  steps: () => new Option(FLAGS.steps.flags, FLAGS.steps.meaning).argParser(count),
  epochs: () =>
    new Option(FLAGS.epochs.flags, FLAGS.epochs.meaning).argParser(count).conflicts("steps"),
  runDir: () => new Option(FLAGS.runDir.flags, FLAGS.runDir.meaning),
  adapterFormat: () =>
    new Option(FLAGS.adapterFormat.flags, FLAGS.adapterFormat.meaning)
      .choices(FLAGS.adapterFormat.choices).default(FLAGS.adapterFormat.default),
  saveEvery: () => new Option(FLAGS.saveEvery.flags, FLAGS.saveEvery.meaning).argParser(count),
  saveMinutes: () =>
    new Option(FLAGS.saveMinutes.flags, FLAGS.saveMinutes.meaning).argParser(positive),
  keep: () => new Option(FLAGS.keep.flags, FLAGS.keep.meaning).argParser(count),
  evaluateEvery: () =>
    new Option(FLAGS.evaluateEvery.flags, FLAGS.evaluateEvery.meaning).argParser(count),
  patience: () => new Option(FLAGS.patience.flags, FLAGS.patience.meaning).argParser(count),
  onNan: () => new Option(FLAGS.onNan.flags, FLAGS.onNan.meaning).choices(FLAGS.onNan.choices),
  schedule: () =>
    new Option(FLAGS.schedule.flags, FLAGS.schedule.meaning).choices(FLAGS.schedule.choices),
  warmup: () => new Option(FLAGS.warmup.flags, FLAGS.warmup.meaning).argParser(span),
  decay: () => new Option(FLAGS.decay.flags, FLAGS.decay.meaning).argParser(span),
  floor: () => new Option(FLAGS.floor.flags, FLAGS.floor.meaning).argParser(upToOne),
  learningRate: () =>
    new Option(FLAGS.learningRate.flags, FLAGS.learningRate.meaning).argParser(positive),
  resume: () => new Option(FLAGS.resume.flags, FLAGS.resume.meaning),
  restart: () => new Option(FLAGS.restart.flags, FLAGS.restart.meaning).conflicts("resume"),
  seed: () => new Option(FLAGS.seed.flags, FLAGS.seed.meaning).argParser(whole),
  log: () => new Option(FLAGS.log.flags, FLAGS.log.meaning).choices(FLAGS.log.choices),
  page: () => new Option(FLAGS.page.flags, FLAGS.page.meaning),
  samples: () => new Option(FLAGS.samples.flags, FLAGS.samples.meaning).argParser(whole),
  events: () => new Option(FLAGS.events.flags, FLAGS.events.meaning),
  prompt: () => new Option(FLAGS.prompt.flags, FLAGS.prompt.meaning).makeOptionMandatory(),
  maxTokens: () =>
    new Option(FLAGS.maxTokens.flags, FLAGS.maxTokens.meaning).argParser(count).default(128),
  temperature: () =>
    new Option(FLAGS.temperature.flags, FLAGS.temperature.meaning).argParser(nonNegative)
      .default(0),
  topK: () => new Option(FLAGS.topK.flags, FLAGS.topK.meaning).argParser(whole).default(0),
  topP: () => new Option(FLAGS.topP.flags, FLAGS.topP.meaning).argParser(share).default(1),
  dataset: () => new Option(FLAGS.dataset.flags, FLAGS.dataset.meaning),
  repo: () => new Option(FLAGS.repo.flags, FLAGS.repo.meaning).makeOptionMandatory(),
  message: () => new Option(FLAGS.message.flags, FLAGS.message.meaning),
  public: () => new Option(FLAGS.public.flags, FLAGS.public.meaning),
  dryRun: () => new Option(FLAGS.dryRun.flags, FLAGS.dryRun.meaning),
  task: () =>
    new Option(FLAGS.task.flags, FLAGS.task.meaning).choices(FLAGS.task.choices)
      .makeOptionMandatory(),
  questions: () => new Option(FLAGS.questions.flags, FLAGS.questions.meaning).makeOptionMandatory(),
  shots: () => new Option(FLAGS.shots.flags, FLAGS.shots.meaning).argParser(whole),
  limit: () => new Option(FLAGS.limit.flags, FLAGS.limit.meaning).argParser(count),
  subjects: () => new Option(FLAGS.subjects.flags, FLAGS.subjects.meaning).argParser(names),
  minP: () => new Option(FLAGS.minP.flags, FLAGS.minP.meaning).argParser(upToOne).default(0),
  repetitionPenalty: () =>
    new Option(FLAGS.repetitionPenalty.flags, FLAGS.repetitionPenalty.meaning).argParser(positive)
      .default(1),
  stop: () => new Option(FLAGS.stop.flags, FLAGS.stop.meaning).argParser(collect).default([]),
  context: () => new Option(FLAGS.context.flags, FLAGS.context.meaning).argParser(contextLength),
  compare: () => new Option(FLAGS.compare.flags, FLAGS.compare.meaning),
  system: () => new Option(FLAGS.system.flags, FLAGS.system.meaning),
  revision: () => new Option(FLAGS.revision.flags, FLAGS.revision.meaning),
  file: () => new Option(FLAGS.file.flags, FLAGS.file.meaning),
  base: () => new Option(FLAGS.base.flags, FLAGS.base.meaning).makeOptionMandatory(),
  exportKind: () =>
    new Option(FLAGS.exportKind.flags, FLAGS.exportKind.meaning)
      .choices(FLAGS.exportKind.choices).makeOptionMandatory(),
  exportOut: () => new Option(FLAGS.exportOut.flags, FLAGS.exportOut.meaning).makeOptionMandatory(),
  exportDtype: () =>
    new Option(FLAGS.exportDtype.flags, FLAGS.exportDtype.meaning)
      .choices(FLAGS.exportDtype.choices),
  modelDir: () => new Option(FLAGS.modelDir.flags, FLAGS.modelDir.meaning).makeOptionMandatory(),
  modelDtype: () =>
    new Option(FLAGS.modelDtype.flags, FLAGS.modelDtype.meaning)
      .choices(FLAGS.modelDtype.choices).default(FLAGS.modelDtype.default),
  database: () => new Option(FLAGS.database.flags, FLAGS.database.meaning),
  defaults: () => new Option(FLAGS.defaults.flags, FLAGS.defaults.meaning),
  minutes: () =>
    new Option(FLAGS.minutes.flags, FLAGS.minutes.meaning).argParser(minutes).default(10),
  kernels: () => new Option(FLAGS.kernels.flags, FLAGS.kernels.meaning).default("*"),
  again: () => new Option(FLAGS.again.flags, FLAGS.again.meaning),
  exportTo: () => new Option(FLAGS.exportTo.flags, FLAGS.exportTo.meaning),
  importFrom: () => new Option(FLAGS.importFrom.flags, FLAGS.importFrom.meaning),
  prune: () => new Option(FLAGS.prune.flags, FLAGS.prune.meaning),
  grid: () => new Option(FLAGS.grid.flags, FLAGS.grid.meaning).argParser(extents).default([1]),
  block: () => new Option(FLAGS.block.flags, FLAGS.block.meaning).argParser(extents).default([32]),
  sharedBytes: () =>
    new Option(FLAGS.sharedBytes.flags, FLAGS.sharedBytes.meaning).argParser(whole).default(0),
  arg: () => new Option(FLAGS.arg.flags, FLAGS.arg.meaning).argParser(collect).default([]),
  arch: () =>
    new Option(FLAGS.arch.flags, FLAGS.arch.meaning).argParser(architecture)
      .default(FLAGS.arch.default),
  define: () => new Option(FLAGS.define.flags, FLAGS.define.meaning).argParser(collect).default([]),
  plain: () => new Option(FLAGS.plain.flags, FLAGS.plain.meaning),
  profile: () => new Option(FLAGS.profile.flags, FLAGS.profile.meaning),
  trace: () => new Option(FLAGS.trace.flags, FLAGS.trace.meaning),
  vary: () => new Option(FLAGS.vary.flags, FLAGS.vary.meaning).choices(FLAGS.vary.choices),
  sweep: () => new Option(FLAGS.sweep.flags, FLAGS.sweep.meaning).choices(FLAGS.sweep.choices),
  pool: () => new Option(FLAGS.pool.flags, FLAGS.pool.meaning),
  apart: () => new Option(FLAGS.apart.flags, FLAGS.apart.meaning).hideHelp(),
} as const;

/**
 * Threads by flag, then by PACAC_THREADS, then one for each core.
 * @param flag The flag's value
 * @throws {PacacError} usage
 */
export function threadCount(flag: number | undefined): number {
  if (flag !== undefined) return flag;
  const variable = environment("PACAC_THREADS");
  if (variable === undefined) return navigator.hardwareConcurrency;
  if (/^[1-9]\d{0,3}$/.test(variable)) return Number(variable);
  throw new PacacError("usage", `Cannot use PACAC_THREADS: "${variable}" is not a count`, {
    remedy: "set it to a whole number from 1, or unset it",
  });
}

/** Of two parameters, as {@linkcode collect}: the front door tells by it that the flag may come again. */
function gathered(text: string, before: string[] | undefined): string[] {
  return [...before ?? [], text];
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("Give a whole number from 1.");
  return Number(text);
}

/** Rotary tables and caches are as long as the context: a slip of the finger must not fill the memory. */
function contextLength(text: string): number {
  const tokens = count(text);
  if (tokens > MAX_CONTEXT) throw new InvalidArgumentError(`Give at most ${MAX_CONTEXT}.`);
  return tokens;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Give a whole number from 0.");
  return Number(text);
}

function nonNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < Infinity)) {
    throw new InvalidArgumentError("Give a number from 0.");
  }
  return value;
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000)) throw new InvalidArgumentError("Give minutes above 0.");
  return value;
}

/** A stretch of a run: `100` steps, the share `0.1` of all, or `0.5ep` of a pass over the data. */
function span(text: string): ScheduleSpan {
  const [, epochs] = /^(.*[^\s])ep$/.exec(text) ?? [];
  if (epochs !== undefined) return { epochs: nonNegative(epochs) };
  const value = nonNegative(text);
  return value >= 1 ? { steps: count(text) } : value;
}

/**
 * A stretch as its flag is typed.
 * @param value What the flag came to
 */
export function spanText(value: ScheduleSpan): string {
  if (typeof value === "number") return `${value}`;
  return "steps" in value ? `${value.steps}` : `${value.epochs}ep`;
}

function upToOne(text: string): number {
  const value = nonNegative(text);
  if (value > 1) throw new InvalidArgumentError("Give a number from 0 to 1.");
  return value;
}

function positive(text: string): number {
  const value = nonNegative(text);
  if (value === 0) throw new InvalidArgumentError("Give a number above 0.");
  return value;
}

function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError("Give a number above 0, up to 1.");
  return value;
}

/** Names between commas. */
function names(text: string): string[] {
  const list = text.split(",").map((name) => name.trim());
  if (list.includes("")) throw new InvalidArgumentError("Give names with commas between them.");
  return [...new Set(list)];
}

function emitted(text: string): string {
  if (!/^(?:after:[a-z_]+|standalone)$/.test(text)) {
    throw new InvalidArgumentError("Write after:PASS or standalone.");
  }
  return text;
}

function extents(text: string): number[] {
  if (!/^[1-9]\d{0,8}(?:,[1-9]\d{0,8}){0,2}$/.test(text)) {
    throw new InvalidArgumentError("Give one to three whole numbers, as 4 or 4,2.");
  }
  return text.split(",").map(Number);
}

/** A flag that may be given again and again. */
function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

function architecture(text: string): string {
  if (!/^(?:sm|compute)_\d{2,3}[a-z]?$/.test(text)) throw new InvalidArgumentError("Write sm_80.");
  return text;
}
