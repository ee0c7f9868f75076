/**
 * The command line's front door: the list of commands. A new command is a file of this folder and a line here.
 * @module
 */
import { type CommandEntry, run } from "./run.ts";

const COMMANDS: readonly CommandEntry[] = [
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
    name: "train",
    summary: "Fine-tune on a data file and save an adapter",
    load: async () => (await import("./train.ts")).trainCommand(),
  },
  {
    name: "generate",
    summary: "Answer a prompt with a model and an adapter",
    load: async () => (await import("./generate.ts")).generateCommand(),
  },
  {
    name: "bench",
    summary: "Measure training speed and memory on made-up batches",
    load: async () => (await import("./bench.ts")).benchCommand(),
  },
  {
    name: "emulate",
    summary: "Run a CUDA kernel on the processor and look for its faults",
    load: async () => (await import("./emulate.ts")).emulateCommand(),
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
