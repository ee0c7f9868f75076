/**
 * Opens a compiled program for the commands that run one: a model description is compiled first, a generated
 * folder is taken as it is.
 * @module
 */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Compiled, CompileOptions } from "../compile.ts";
import { PacacError } from "../errors.ts";
import { resolveModel } from "../formats/model_folder.ts";
import { environment, userPath } from "../knobs.ts";
import { ROOT } from "../spec/evaluate.ts";
import { blameSpec, type LoadedSpec, loadSpec } from "../spec/load.ts";
import type { Decoder, LoadOptions, Trainer } from "../train/mod.ts";
import { threadCount } from "./flags.ts";
import { Status } from "./progress.ts";
import { aside, duration, note } from "./print.ts";

/** What a compile can be told on the command line. */
export interface CompileFlags {
  readonly target: "cpu" | "cuda" | "reference";
  readonly isa: string;
  readonly gpu?: NonNullable<CompileOptions["gpu"]>;
  readonly threads?: number | undefined;
  readonly weights?: string | undefined;
  readonly out?: string | undefined;
  readonly emit?: string | undefined;
  readonly build?: boolean;
  readonly tuned?: boolean | undefined;
  readonly db?: string | undefined;
  /** Compile for writing text, with caches of so many tokens. */
  readonly decode?: CompileOptions["decode"];
}

/** What a generated trainer.ts exports. */
export interface TrainerModule {
  readonly load: (options: LoadOptions) => Promise<Trainer>;
}

/** What a generated decoder.ts exports. */
interface DecoderModule {
  readonly load: (options: LoadOptions) => Promise<Decoder>;
}

/** A program that is ready to load. */
export interface Program {
  readonly dir: string;
  readonly module: TrainerModule;
  /** Where it was compiled now. */
  readonly compiled?: Compiled;
  readonly loaded?: LoadedSpec;
}

/**
 * Compiles a loaded description; errors about its fields get their place in the file.
 * @param loaded The description
 * @param flags Target, instruction set, threads, folders
 */
export async function compileSpec(loaded: LoadedSpec, flags: CompileFlags): Promise<Compiled> {
  const { target, isa, weights, out, emit, build = true, tuned = true, db, decode } = flags;
  const kind = `${isa === "multi" ? "-multi" : ""}${decode === undefined ? "" : "-decode"}`;
  const outDir = out === undefined
    ? join(ROOT, "generated", `${loaded.spec.name}-${target}${kind}`)
    : userPath(out);
  // Imported late: a built program runs without the compiler in memory.
  const compile = isa === "multi"
    ? (await import("../compile_multi.ts")).compileMulti
    : (await import("../compile.ts")).compile;
  const status = new Status();
  try {
    const compiled = await compile(loaded, {
      target,
      isa,
      threads: threadCount(flags.threads),
      outDir,
      build,
      tuned,
      onProgress: (text) => status.show(text),
      ...(decode === undefined ? {} : { decode }),
      ...(flags.gpu === undefined ? {} : { gpu: flags.gpu }),
      ...(weights === undefined ? {} : { weights: userPath(weights) }),
      ...(emit === undefined ? {} : { emit }),
      ...(db === undefined ? {} : { database: userPath(db) }),
    });
    for (const text of compiled.notes) note(aside(text));
    return compiled;
  } catch (error) {
    throw await blameSpec(error, loaded);
  } finally {
    status.end();
  }
}

/**
 * Opens a program.
 * @param path A model description, or a folder that `compile` wrote
 * @param flags For the compile
 */
export async function openProgram(path: string, flags: CompileFlags): Promise<Program> {
  const full = userPath(path);
  if (await isFolder(full)) return { dir: full, module: await importTrainer(full) };
  const loaded = await loadSpec(full);
  return await openSpec(loaded, flags);
}

/**
 * Compiles a description and opens the program.
 * @param loaded The description
 * @param flags For the compile
 */
export async function openSpec(loaded: LoadedSpec, flags: CompileFlags): Promise<Program> {
  const compiled = await compileAloud(loaded, flags);
  return { dir: compiled.dir, module: await importTrainer(compiled.dir), compiled, loaded };
}

/**
 * Compiles a description for writing text and loads it.
 * @param loaded The description
 * @param flags For the compile, `decode` among them
 * @param options Weights, adapter, threads
 */
export async function openDecoder(
  loaded: LoadedSpec,
  flags: CompileFlags & { readonly decode: { readonly context: number } },
  options: LoadOptions,
): Promise<Decoder> {
  const { dir } = await compileAloud(loaded, flags);
  const module = await importModule<DecoderModule>(dir, "decoder.ts");
  return await module.load(options);
}

async function compileAloud(loaded: LoadedSpec, flags: CompileFlags): Promise<Compiled> {
  const began = performance.now();
  const compiled = await compileSpec(loaded, flags);
  const took = duration((performance.now() - began) / 1000);
  note(aside(`compiled ${compiled.dir} in ${took}${compiled.warm ? " (cached)" : ""}`));
  return compiled;
}

function importTrainer(dir: string): Promise<TrainerModule> {
  return importModule<TrainerModule>(dir, "trainer.ts");
}

async function importModule<Module extends { readonly load: unknown }>(
  dir: string,
  name: string,
): Promise<Module> {
  const file = join(dir, name);
  if (!await isFile(file)) {
    throw new PacacError("load-failed", `Cannot open the program: the folder has no ${name}`, {
      place: { file: dir },
      remedy: "name a model description (a .ts file), or a folder that compile wrote",
    });
  }
  const module: unknown = await import(pathToFileURL(file).href);
  if (!hasLoad<Module>(module)) {
    throw new PacacError("load-failed", `Cannot open the program: ${name} exports no load()`, {
      place: { file },
      remedy: "compile the model description again",
    });
  }
  return module;
}

function hasLoad<Module extends { readonly load: unknown }>(module: unknown): module is Module {
  return typeof module === "object" && module !== null && "load" in module &&
    typeof module.load === "function";
}

/**
 * The folder of a model's tokenizer: beside the weights, else where the description says that the model is.
 * @param program A loaded trainer or decoder
 * @throws {PacacError} model-not-found
 */
export async function tokenizerFolder(
  { weights, info }: Pick<Trainer, "weights" | "info">,
): Promise<string> {
  const beside = weights === undefined || await isFolder(weights) ? weights : dirname(weights);
  if (beside !== undefined && await isFile(join(beside, "tokenizer.json"))) return beside;
  if (info.source === "") {
    if (beside !== undefined) return beside;
    throw new PacacError("model-not-found", `Cannot find a tokenizer: ${info.name} has no folder`, {
      remedy: "name the model's folder with --weights",
    });
  }
  if (await isFolder(info.source)) return info.source;
  return resolveModel(info.source, { need: "config" }).folder;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/**
 * Options of a trainer's load() from flags; the instruction set from PACAC_ISA.
 * @param flags Paths as typed
 */
export function loadOptions(flags: {
  readonly weights?: string | undefined;
  readonly adapter?: string | undefined;
  readonly init?: number | undefined;
  readonly seed?: number | undefined;
}): LoadOptions & { readonly isa?: string } {
  const { weights, adapter, init, seed } = flags;
  const isa = environment("PACAC_ISA");
  return {
    ...(isa === undefined ? {} : { isa }),
    ...(weights === undefined ? {} : { weights: userPath(weights) }),
    ...(adapter === undefined ? {} : { adapter: userPath(adapter) }),
    ...(init === undefined ? {} : { init: { seed: init } }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/**
 * The default folder of a run: beside the program's.
 * @param dir The program's folder
 */
export function runFolder(dir: string): string {
  return join(dirname(dir), `${basename(dir)}-run`);
}
