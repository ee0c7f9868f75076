/**
 * Every flag and environment variable of pacac, in one place: name, values, default, meaning.
 *
 * Commands take their flags from here, so that the same word means the same everywhere; nothing else reads the
 * environment.
 * @module
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";

/** Names of the environment variables that pacac reads. */
export const ENVIRONMENT = {
  PACAC_CACHE: "Folder of the build cache (default: XDG_CACHE_HOME/pacac, then ~/.cache/pacac)",
  PACAC_THREADS: "Threads of a compiled program (default: one for each core)",
  PACAC_ISA: "Instruction set to load of a program for several (default: the processor's best)",
  XDG_CACHE_HOME: "Where the cache goes if PACAC_CACHE is not set",
  CXX: "C++ compiler (default: the first of g++, clang++, c++ that is installed)",
  CUDA_HOME: "Folder of the CUDA toolkit (default: nvcc on the PATH, then /usr/local/cuda)",
  HF_HUB_CACHE: "Hugging Face's cache of models (default: HF_HOME/hub)",
  HF_HOME: "Hugging Face's folder (default: ~/.cache/huggingface)",
  HF_ENDPOINT: "Address of the model hub (default: https://huggingface.co)",
  HF_TOKEN: "Access token, for private and gated models and for uploads",
  HF_HUB_OFFLINE: "If 1, models come from the cache alone",
  NO_COLOR: "If set, nothing is printed in colour",
  INIT_CWD: "Set by deno task: the folder that relative paths start from",
} as const;

/** An environment variable of {@linkcode ENVIRONMENT}. */
export type EnvironmentName = keyof typeof ENVIRONMENT;

/** Every flag. `flags` is commander's notation, literal so that options are typed by it. */
export const FLAGS = {
  target: {
    flags: "--target <name>",
    choices: ["cpu", "cuda", "reference"],
    default: "cpu",
    meaning: "What the program runs on",
  },
  gpu: {
    flags: "--gpu <name>",
    choices: ["a100", "h100", "rtx4090", "l40s"],
    meaning: "GPU of a cuda program (default: times of an h100, code for sm_80 and newer)",
  },
  isa: {
    flags: "--isa <name>",
    choices: ["native", "multi", "avx2", "avx512", "avx512_bf16", "amx_bf16", "neon", "plain"],
    default: "native",
    meaning: "Instruction set of the cpu target; multi: all, one is chosen when the program is " +
      "loaded",
  },
  out: { flags: "--out <dir>", meaning: "Folder for the generated program" },
  threads: {
    flags: "--threads <n>",
    meaning: "Threads of the program (PACAC_THREADS, then cores)",
  },
  emit: {
    flags: "--emit <what>",
    meaning:
      "after:PASS: print the graph after a pass, after:all for each. standalone (cuda): also " +
      "write a C++ program that checks and times the kernels, and needs only nvcc",
  },
  time: { flags: "--time", meaning: "Print what each stage of the compile took" },
  json: { flags: "--json", meaning: "Print results as JSON on standard output" },
  weights: {
    flags: "--weights <path>",
    meaning: "The model's folder (config.json, safetensors, tokenizer), or a safetensors file",
  },
  adapter: { flags: "--adapter <dir>", meaning: "Start from this adapter" },
  init: {
    flags: "--init <seed>",
    meaning: "Start from fresh weights of this seed in place of the model's",
  },
  data: {
    flags: "--data <path[:weight]>",
    meaning: "Training data: a file, a folder, or a cached data set as hf:owner/name:split; " +
      "again for more, each with its weight",
  },
  format: {
    flags: "--format <name>",
    choices: ["messages", "sharegpt", "mmlu", "alpaca", "completion", "text"],
    meaning: "Format of the data (default: by the file's content)",
  },
  map: {
    flags: "--map <fields>",
    meaning: "Names of fields, the file's first: question=instruction,answer=output",
  },
  skipBad: {
    flags: "--skip-bad <n>",
    meaning: "Rows that may be bad and are passed over (default: none)",
  },
  trainOn: {
    flags: "--train-on <what>",
    choices: ["answers", "last", "everything"],
    meaning: "Which tokens of a conversation are learnt (default: answers, all of them)",
  },
  packing: {
    flags: "--packing <how>",
    choices: ["best-fit", "sequential", "buckets", "padded"],
    meaning:
      "How documents share rows (default: best-fit; buckets: each padded to a half, a quarter, … of a row; padded: one a row)",
  },
  validation: {
    flags: "--validation <share|path>",
    meaning: "Kept apart to validate: a share of the rows by their hash, or other files",
  },
  model: {
    flags: "--model <path>",
    meaning: "Model description (a .ts file), or a folder or cached model with a tokenizer",
  },
  seqLen: {
    flags: "--seq-len <n>",
    meaning: "Tokens of a row (default: the description's, or 512)",
  },
  show: { flags: "--show <n>", meaning: "Print n rows, the tokens that are learnt marked" },
  steps: { flags: "--steps <n>", meaning: "Optimiser steps" },
  epochs: { flags: "--epochs <n>", meaning: "Passes over the data (default: 1)" },
  runDir: { flags: "--out <dir>", meaning: "Folder for the adapter and the checkpoints" },
  adapterFormat: {
    flags: "--adapter-format <name>",
    choices: ["peft", "paca", "lora"],
    default: "peft",
    meaning: "Form in which the adapter is saved",
  },
  saveEvery: { flags: "--save-every <n>", meaning: "Save a checkpoint every n steps" },
  saveMinutes: { flags: "--save-minutes <m>", meaning: "Save a checkpoint every m minutes" },
  keep: { flags: "--keep <k>", meaning: "Checkpoints that stay (default: 1, the newest)" },
  evaluateEvery: {
    flags: "--evaluate-every <n>",
    meaning: "Measure the validation set every n steps, and keep the best checkpoint",
  },
  patience: {
    flags: "--patience <n>",
    meaning: "Stop after n evaluations without a lower loss",
  },
  onNan: {
    flags: "--on-nan <what>",
    choices: ["stop", "skip"],
    meaning: "At a loss that is no number: stop, or pass over the batch (default: stop)",
  },
  schedule: {
    flags: "--schedule <name>",
    choices: ["constant", "linear", "cosine", "wsd"],
    meaning: "Course of the learning rate after the warm-up (default: the description's)",
  },
  warmup: {
    flags: "--warmup <w>",
    meaning: "Rising rate: steps, a share of all where it is below 1, or epochs as 0.5ep",
  },
  decay: {
    flags: "--decay <d>",
    meaning: "wsd: falling rate at the end, as --warmup says it (default: 0.2)",
  },
  floor: { flags: "--floor <f>", meaning: "Share of the rate that is left at the end" },
  learningRate: {
    flags: "--learning-rate <r>",
    meaning: "The highest rate (default: the description's)",
  },
  resume: {
    flags: "--resume <dir>",
    meaning: "Go on with the run of this folder, with its own flags; or from a checkpoint",
  },
  restart: {
    flags: "--restart",
    meaning: "Begin anew where the folder holds a run that is not finished",
  },
  seed: { flags: "--seed <n>", meaning: "Seed of the data's order, or of sampling" },
  log: {
    flags: "--log <name>",
    choices: ["tensorboard"],
    meaning: "Keep the events in this form too, in the run's folder",
  },
  page: {
    flags: "--out <file>",
    meaning: "The page (default: report.html in the run's folder; of several, comparison.html)",
  },
  samples: {
    flags: "--samples <n>",
    meaning: "Prompts of the data to answer before and after",
  },
  events: { flags: "--json", meaning: "Print events as lines of JSON on standard output" },
  prompt: { flags: "--prompt <text>", meaning: "Text to answer" },
  maxTokens: { flags: "--max-tokens <n>", meaning: "Most tokens to write" },
  temperature: { flags: "--temperature <t>", meaning: "0 takes the likeliest token each time" },
  topK: { flags: "--top-k <k>", meaning: "Sample from the k likeliest tokens (0: from all)" },
  topP: { flags: "--top-p <p>", meaning: "Sample from the likeliest tokens that sum to p" },
  dataset: { flags: "--dataset", meaning: "The name is a data set's, not a model's" },
  repo: {
    flags: "--repo <org/name>",
    meaning: "Repository on the hub; made where it is not there",
  },
  message: { flags: "--message <text>", meaning: "What the commit says" },
  public: { flags: "--public", meaning: "A repository that has to be made is public, not private" },
  dryRun: { flags: "--dry-run", meaning: "Say what would be sent, and send nothing" },
  task: {
    flags: "--task <name>",
    choices: ["mmlu", "gsm8k"],
    meaning: "What is asked: options by their letters' logits, or numbers behind ####",
  },
  questions: {
    flags: "--data <path>",
    meaning: "Questions: a file, or a folder (mmlu: one with folders test and dev)",
  },
  shots: {
    flags: "--shots <n>",
    meaning: "Answered examples before each question (default: mmlu 5, gsm8k 0)",
  },
  limit: { flags: "--limit <n>", meaning: "Questions at most, evenly from all subjects" },
  subjects: { flags: "--subjects <names>", meaning: "These subjects of mmlu only, as a,b,c" },
  minP: {
    flags: "--min-p <p>",
    meaning: "Sample from tokens with p times the likeliest one's probability",
  },
  repetitionPenalty: {
    flags: "--repetition-penalty <r>",
    meaning: "Divide logits of tokens that the text has already",
  },
  stop: { flags: "--stop <text>", meaning: "Text that ends the answer; again for more" },
  context: {
    flags: "--context <n>",
    meaning: "Most tokens of a conversation (default: the description's row)",
  },
  compare: { flags: "--compare", meaning: "Answer with the adapter and without it" },
  system: { flags: "--system <text>", meaning: "What the model is told before the conversation" },
  revision: { flags: "--revision <name>", meaning: "Branch, tag or commit (default: main)" },
  file: { flags: "--file <name>", meaning: "Only this file" },
  base: { flags: "--base <dir>", meaning: "Folder of the base model" },
  exportKind: {
    flags: "--to <form>",
    choices: ["peft", "paca", "lora", "merged", "gguf", "gguf-lora"],
    meaning: "What the adapter becomes",
  },
  exportOut: { flags: "--out <path>", meaning: "Folder to write, or for GGUF the file" },
  exportDtype: {
    flags: "--dtype <name>",
    choices: ["F32", "F16", "BF16", "Q8_0", "Q4_0"],
    meaning: "Element type of matrices (gguf: F16; merged: each tensor's own)",
  },
  modelDir: { flags: "--out <dir>", meaning: "Folder for the model" },
  modelDtype: {
    flags: "--dtype <name>",
    choices: ["bf16", "f32"],
    default: "bf16",
    meaning: "Element type of the model's files",
  },
  profile: {
    flags: "--profile",
    meaning: "Print each kernel's time, rates and share of its roofline",
  },
  trace: {
    flags: "--trace <file>",
    meaning: "Write two more steps as a Chrome trace, for Perfetto: at most 16384 kernel calls",
  },
  vary: {
    flags: "--vary <what>",
    choices: ["documents", "supervised", "padding"],
    meaning:
      "Time two workloads in turn: one or many documents a row; all or a third supervised; " +
      "packed or padded rows",
  },
  sweep: {
    flags: "--sweep <what>",
    choices: ["length", "width", "depth", "all"],
    meaning: "Measure made-up llamas of growing size; table and plot go to tests/bench/results",
  },
  pool: { flags: "--pool", meaning: "Print what the thread pool costs between kernels" },
  apart: { flags: "--apart", meaning: "Measure in this process and print the figures as JSON" },
  database: {
    flags: "--db <file>",
    meaning: "File of tuned values (default: in the cache folder)",
  },
  defaults: { flags: "--no-tuned", meaning: "Take the kernels' defaults, whatever was tuned" },
  minutes: { flags: "--minutes <n>", meaning: "Time limit of tuning" },
  kernels: { flags: "--kernels <glob>", meaning: "Tune these kernels only, as linear*" },
  again: { flags: "--again", meaning: "Tune what has tuned values already, too" },
  exportTo: { flags: "--export <file>", meaning: "Write the tuned values to a file of their own" },
  importFrom: { flags: "--import <file>", meaning: "Take over tuned values from a file" },
  prune: { flags: "--prune", meaning: "Drop values of kernels or compilers that have changed" },
  grid: { flags: "--grid <x,y,z>", meaning: "Blocks of the grid" },
  block: { flags: "--block <x,y,z>", meaning: "Threads of a block" },
  sharedBytes: { flags: "--shared <bytes>", meaning: "Dynamic shared memory of a block" },
  arg: {
    flags: "--arg <argument>",
    meaning: "An argument, in order: in:bf16[64,32], zero:f32[8], out:f32[64], or a number",
  },
  arch: {
    flags: "--arch <name>",
    default: "sm_80",
    meaning: "Architecture that nvcc compiles for",
  },
  define: { flags: "--define <name>", meaning: "A macro for nvcc, NAME or NAME=VALUE" },
  plain: { flags: "--plain", meaning: "Neither check nor count traffic; several times as fast" },
} as const;

/**
 * Reads an environment variable; an empty one counts as unset.
 * @param name One of {@linkcode ENVIRONMENT}
 */
export function environment(name: EnvironmentName): string | undefined {
  const value = process.env[name];
  return value === "" ? undefined : value;
}

/** The folder of everything that pacac can make again: builds, checked types, measured machines. */
export function cacheFolder(): string {
  const own = environment("PACAC_CACHE");
  if (own !== undefined) return resolve(own);
  return join(environment("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "pacac");
}

/**
 * A path as the user means it: relative to the folder they are in, not to deno.json's.
 * @param path As typed
 */
export function userPath(path: string): string {
  return resolve(environment("INIT_CWD") ?? ".", path);
}

/**
 * The one of `names` that was probably meant: fewest edits, at most a third of its length.
 * @param word What was written
 * @param names What there is
 */
export function near(word: string, names: readonly string[]): string | undefined {
  const ranked = names.map((name) => ({ name, edits: distance(word, name) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked.at(0);
  return best !== undefined && best.edits <= Math.max(2, best.name.length / 3)
    ? best.name
    : undefined;
}

/** Levenshtein's distance, row by row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length];
}
