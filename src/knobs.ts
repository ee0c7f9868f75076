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
  XDG_CACHE_HOME: "Where the cache goes if PACAC_CACHE is not set",
  CXX: "C++ compiler (default: the first of g++, clang++, c++ that is installed)",
  HF_HUB_CACHE: "Hugging Face's cache of models (default: HF_HOME/hub)",
  HF_HOME: "Hugging Face's folder (default: ~/.cache/huggingface)",
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
  isa: {
    flags: "--isa <name>",
    choices: ["native", "avx2", "avx512", "avx512_bf16", "neon", "plain"],
    default: "native",
    meaning: "Instruction set of the cpu target",
  },
  out: { flags: "--out <dir>", meaning: "Folder for the generated program" },
  threads: {
    flags: "--threads <n>",
    meaning: "Threads of the program (PACAC_THREADS, then cores)",
  },
  emit: {
    flags: "--emit <after:pass>",
    meaning: "Print the graph after a pass, or after:all for each",
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
  data: { flags: "--data <file>", meaning: "Training data" },
  format: {
    flags: "--format <name>",
    choices: ["alpaca", "messages", "text"],
    meaning: "Format of the data (default: by the file's content)",
  },
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
  resume: { flags: "--resume <dir>", meaning: "Go on from this checkpoint" },
  seed: { flags: "--seed <n>", meaning: "Seed of the data's order, or of sampling" },
  events: { flags: "--json", meaning: "Print events as lines of JSON on standard output" },
  prompt: { flags: "--prompt <text>", meaning: "Text to answer" },
  maxTokens: { flags: "--max-tokens <n>", meaning: "Most tokens to write" },
  temperature: { flags: "--temperature <t>", meaning: "0 takes the likeliest token each time" },
  topP: { flags: "--top-p <p>", meaning: "Sample from the likeliest tokens that sum to p" },
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
  profile: { flags: "--profile", meaning: "Print the time of each kernel" },
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
