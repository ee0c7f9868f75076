/**
 * Compiles C++ and CUDA into object files, as many at a time as there are processors, and links them to an addon.
 * @module
 */
import { Cache, keyOf } from "./cache.ts";
import { runCompiler } from "./compiler.ts";
import { Headers } from "./headers.ts";
import { linkAddon } from "./link.ts";
import { precompile, WORTH_IT } from "./precompiled.ts";
import { findToolchain, NATIVE, SYSTEM_INCLUDES, type Toolchain } from "./toolchain.ts";

/** A source to compile. */
export interface Source {
  /** Path for messages. */
  readonly file: string;
  readonly source: string;
}

/** How far a build is. */
export interface BuildProgress {
  readonly done: number;
  readonly total: number;
  /** The file that was finished last. */
  readonly file: string;
}

/** What {@linkcode buildAddon} and {@linkcode compileAll} take beside the sources. */
export interface BuildOptions {
  /** Flags of the instruction set; with nvcc, of the architecture. */
  readonly flags: readonly string[];
  /** What compiles; default: the C++ compiler. */
  readonly toolchain?: Toolchain;
  readonly cache?: Cache;
  readonly headers?: Headers;
  /** Called after each file that had to be compiled. */
  readonly onProgress?: (progress: BuildProgress) => void;
  readonly signal?: AbortSignal;
}

/** What a build came to. */
export interface BuiltAddon {
  /** The addon's file name, with a hash of its content's sources. */
  readonly name: string;
  /** Where it was put. */
  readonly path: string;
  /** Files compiled now, and taken from the cache. */
  readonly compiled: number;
  readonly cached: number;
  readonly seconds: number;
}

/** Flags of every compilation. No -ffast-math: the same bits everywhere, and NaN must stay NaN. */
const FLAGS: Readonly<Record<Toolchain["kind"], readonly string[]>> = {
  "c++": [
    "-std=c++20",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-math-errno",
    "-ffp-contract=off",
    "-pthread",
    "-Wall",
    "-Wextra",
    "-DNAPI_VERSION=9",
    "-DNAPI_CPP_EXCEPTIONS",
  ],
  // Line numbers cost nothing at run time, and profilers and sanitizers name the source by them.
  "nvcc": [
    "-std=c++20",
    "-O3",
    "-lineinfo",
    "-Xcompiler",
    "-fPIC,-fvisibility=hidden,-pthread",
    "-DPACAC_CUDA",
    "-DNAPI_VERSION=9",
    "-DNAPI_CPP_EXCEPTIONS",
  ],
};

/** pacac's own sources in every addon. */
const OWN: Readonly<Record<Toolchain["kind"], readonly string[]>> = {
  "c++": ["addon/addon.cpp", "runtime/engine.cpp", "runtime/allocations.cpp"],
  "nvcc": ["addon/addon.cpp", "cuda/runtime/engine.cpp", "runtime/allocations.cpp"],
};

/**
 * Builds an addon from generated sources and pacac's own.
 * @param sources Kernels, schedule, tables
 * @param options Flags; `folder`, where the addon is put
 * @throws {PacacError} toolchain-missing, build-failed, io
 */
export async function buildAddon(
  sources: readonly Source[],
  options: BuildOptions & { readonly folder: string },
): Promise<BuiltAddon> {
  const begin = performance.now();
  const cache = options.cache ?? new Cache();
  const toolchain = options.toolchain ?? findToolchain();
  const own = OWN[toolchain.kind].map((name) => ({
    file: `native/${name}`,
    source: Deno.readTextFileSync(`${NATIVE}/${name}`),
  }));
  const { objects, compiled } = await compileAll([...own, ...sources], {
    ...options,
    cache,
    toolchain,
  });
  const { key, entry } = await linkAddon(objects, { cache, toolchain, signal: options.signal });
  const name = `addon-${key.slice(0, 16)}.node`;
  const path = `${options.folder}/${name}`;
  install(entry, path);
  const seconds = (performance.now() - begin) / 1000;
  return { name, path, compiled, cached: objects.length - compiled, seconds };
}

/**
 * Builds a program of its own from one source.
 * @param source With a main function
 * @param options Flags, cache
 * @returns Where it lies
 * @throws {PacacError} toolchain-missing, build-failed, io
 */
export async function buildExecutable(source: Source, options: BuildOptions): Promise<string> {
  const cache = options.cache ?? new Cache();
  const toolchain = findToolchain();
  const { objects } = await compileAll([source], { ...options, cache, toolchain });
  const entry = cache.path(keyOf("executable", toolchain.version, ...objects), ".out");
  if (cache.has(entry)) return entry;
  const temporary = cache.temporary(entry);
  try {
    // dlopen lies in libdl where the C library is old; elsewhere that is empty.
    const libraries = Deno.build.os === "linux" ? ["-ldl"] : [];
    const args = ["-pthread", ...objects, ...libraries, "-o", temporary];
    await runCompiler(toolchain, { args, file: source.file, signal: options.signal });
    cache.publish(temporary, entry);
  } finally {
    remove(temporary);
  }
  return entry;
}

/**
 * Compiles sources, those that the cache has not.
 * @param sources The sources
 * @param options Flags, cache, progress
 * @returns Object files in the order of the sources, and how many were compiled now
 * @throws {PacacError} toolchain-missing, build-failed, io
 */
export async function compileAll(
  sources: readonly Source[],
  options: BuildOptions,
): Promise<{ objects: string[]; compiled: number }> {
  const toolchain = options.toolchain ?? findToolchain();
  const cache = options.cache ?? new Cache();
  const headers = options.headers ?? new Headers();
  const flags = [...FLAGS[toolchain.kind], ...hostCompiler(toolchain), ...options.flags];
  const jobs = sources.map(({ file, source }) => {
    const hash = headers.hash(source);
    const key = keyOf("object", toolchain.version, toolchain.machine, ...flags, hash);
    return { file, source, object: cache.path(key, ".o") };
  });
  const unique = new Map(jobs.map((job) => [job.object, job]));
  const missing = [...unique.values()].filter(({ object }) => !cache.has(object));
  // What takes longest (Node-API's headers, long texts) starts first and does not keep one processor busy at the end.
  const weight = ({ source }: Source) => source.length + (source.includes("<napi.h>") ? 1e9 : 0);
  missing.sort((a, b) => weight(b) - weight(a));
  const includes = [
    `-I${NATIVE}`,
    ...SYSTEM_INCLUDES.flatMap((folder) => ["-isystem", folder]),
  ];
  const common = [...flags, ...includes];
  const isKernel = ({ source }: Source) => source.includes('#include "cpu/');
  const precompiled = missing.filter(isKernel).length < WORTH_IT
    ? []
    : await precompile(toolchain, {
      cache,
      headers,
      flags: common,
      signal: options.signal,
    });
  let done = 0;
  await inParallel(missing, options.signal, async (job, signal) => {
    const flags = isKernel(job) ? [...common, ...precompiled] : common;
    await compileOne(job, { toolchain, cache, flags, signal });
    options.onProgress?.({ done: ++done, total: missing.length, file: job.file });
  });
  return { objects: jobs.map(({ object }) => object), compiled: missing.length };
}

/** Runs jobs on as many workers as there are processors; the first failure stops the others. */
async function inParallel<Job>(
  jobs: readonly Job[],
  outer: AbortSignal | undefined,
  work: (job: Job, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      signal.throwIfAborted();
      await work(jobs[next++], signal);
    }
  };
  const count = Math.min(jobs.length, navigator.hardwareConcurrency);
  const workers = Array.from({ length: count }, () =>
    worker().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }));
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === "rejected");
  if (failed === undefined) return;
  outer?.throwIfAborted();
  throw stop.signal.reason;
}

interface Tools {
  readonly toolchain: Toolchain;
  readonly cache: Cache;
  readonly flags: readonly string[];
  readonly signal: AbortSignal | undefined;
}

async function compileOne(
  job: { readonly file: string; readonly source: string; readonly object: string },
  { toolchain, cache, flags, signal }: Tools,
): Promise<void> {
  const temporary = cache.temporary(job.object);
  const text = `${temporary}${job.file.endsWith(".cu") ? ".cu" : ".cpp"}`;
  try {
    // Messages then name the generated file, not the temporary one.
    Deno.writeTextFileSync(text, `#line 1 ${JSON.stringify(job.file)}\n${job.source}`);
    const args = [...flags, "-c", text, "-o", temporary];
    await runCompiler(toolchain, { args, file: job.file, signal });
    cache.publish(temporary, job.object);
  } finally {
    remove(text);
    remove(temporary);
  }
}

/** nvcc calls the C++ compiler that the rest of pacac uses. */
function hostCompiler({ kind }: Toolchain): readonly string[] {
  return kind === "nvcc" ? ["-ccbin", findToolchain().compiler] : [];
}

/** Puts the addon where its bindings look for it; the name holds a hash, so a file that is there is the same. */
function install(entry: string, path: string): void {
  try {
    if (Deno.statSync(path).isFile) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  Deno.copyFileSync(entry, temporary);
  using file = Deno.openSync(temporary, { read: true, write: true });
  file.syncSync();
  Deno.renameSync(temporary, path);
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
