/**
 * The command line's front door: the list of commands. A new command is a file of this folder and a line here.
 * @module
 */
import { type CommandEntry, run } from "./run.ts";

/** All commands, in the order in which `help` lists them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "compile",
    summary: "Compile a model description to a native trainer",
    load: async () => (await import("./compile.ts")).compileCommand(),
  },
  {
    name: "inspect",
    summary: "Show the plan of a model description without building it",
    load: async () => (await import("./inspect.ts")).inspectCommand(),
  },
  {
    name: "data",
    summary: "Show what a model would learn from data files, before any training",
    load: async () => (await import("./data.ts")).dataCommand(),
  },
  {
    name: "train",
    summary: "Fine-tune on a data file and save an adapter",
    load: async () => (await import("./train.ts")).trainCommand(),
  },
  {
    name: "report",
    summary: "Show a run as a page, or several runs side by side",
    load: async () => (await import("./report.ts")).reportCommand(),
  },
  {
    name: "generate",
    summary: "Answer a prompt with a model and an adapter",
    load: async () => (await import("./generate.ts")).generateCommand(),
  },
  {
    name: "chat",
    summary: "Talk with a model, with its adapter on and off",
    load: async () => (await import("./chat.ts")).chatCommand(),
  },
  {
    name: "evaluate",
    summary: "Ask a model the questions of a benchmark, and count the right answers",
    load: async () => (await import("./evaluate.ts")).evaluateCommand(),
  },
  {
    name: "bench",
    summary: "Measure training speed and memory on made-up batches",
    load: async () => (await import("./bench.ts")).benchCommand(),
  },
  {
    name: "download",
    summary: "Download a model or a data set from the hub into the Hugging Face cache",
    load: async () => (await import("./download.ts")).downloadCommand(),
  },
  {
    name: "upload",
    summary: "Put an adapter or a model on the hub",
    load: async () => (await import("./upload.ts")).uploadCommand(),
  },
  {
    name: "export",
    summary: "Turn an adapter into another form, merged weights or GGUF",
    load: async () => (await import("./export.ts")).exportCommand(),
  },
  {
    name: "unpack",
    summary: "Turn a GGUF file into a model folder to fine-tune from",
    load: async () => (await import("./unpack.ts")).unpackCommand(),
  },
  {
    name: "tune",
    summary: "Search the fastest values of each kernel's parameters on this machine",
    load: async () => (await import("./tune.ts")).tuneCommand(),
  },
  {
    name: "emulate",
    summary: "Run a CUDA kernel on the processor and look for its faults",
    load: async () => (await import("./emulate.ts")).emulateCommand(),
  },
  {
    name: "cuda:report",
    summary: "Show what a standalone CUDA program measured on a GPU",
    load: async () => (await import("./cuda_report.ts")).cudaReportCommand(),
  },
  {
    name: "demo",
    summary: "Compile, fine-tune and try the small model in this repository, in two minutes",
    load: async () => (await import("./demo.ts")).demoCommand(),
  },
  {
    name: "make-tiny",
    summary: "Make the demo's small model again from the text beside it",
    load: async () => (await import("./make_tiny.ts")).makeTinyCommand(),
  },
];

if (import.meta.main) Deno.exit(await run(Deno.args, COMMANDS));
