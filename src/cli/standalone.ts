/**
 * Writes what a standalone cuda program is checked with: weights, batches, and what the cpu target computes from them.
 *
 * The format is described where it is read, native/cuda/standalone/reference.hpp.
 * @module
 */
import { join } from "node:path";
import { invariant } from "../errors.ts";
import { publish } from "../formats/atomic.ts";
import type { LoadedSpec } from "../spec/load.ts";
import type { Batch, ProgramInfo, TensorInfo, Trainer } from "../train/mod.ts";
import { madeUpBatch } from "./bench/workload.ts";
import { Status } from "./progress.ts";
import { type CompileFlags, loadOptions, openSpec } from "./program.ts";

/** Its name in the standalone folder. */
const REFERENCE_FILE = "reference.bin";
/** Optimiser steps that are compared. */
const STEPS = 4;
/** Seed of fresh weights, where none are named. */
const SEED = 0;
/** Where values begin: cuda copies whole lines fastest. */
const ALIGN = 64;

/** Relative errors that bf16 products with float32 sums are allowed, as the tests against PyTorch allow them. */
const TOLERANCES = { tolerance_loss: 2e-2, tolerance_norm: 5e-2, tolerance_gradient: 6e-2 };

/** Values under a name; `values` gives them when it is their turn, so that one tensor is in memory at a time. */
interface Entry {
  readonly name: string;
  readonly type: "F32" | "BF16" | "I32";
  readonly count: number;
  readonly values: () => Float32Array | Int32Array;
}

/**
 * Compiles the description for the cpu, runs some steps there, and writes the file.
 * @param folder The standalone program's
 * @param options The description; weights, or fresh ones of a fixed seed where there are none
 * @returns The file
 * @throws {PacacError} as compiling for the cpu and loading weights; io
 */
export async function writeReference(
  folder: string,
  { loaded, flags }: { readonly loaded: LoadedSpec; readonly flags: CompileFlags },
): Promise<string> {
  const { emit: _emit, out: _out, gpu: _gpu, ...rest } = flags;
  const { module } = await openSpec(loaded, { ...rest, target: "cpu" });
  const { weights } = flags;
  await using trainer = await module.load(
    loadOptions(weights === undefined ? { init: SEED } : { weights }),
  );
  const status = new Status();
  const path = join(folder, REFERENCE_FILE);
  try {
    const entries = await entriesOf(trainer, (text) => status.show(text));
    status.show(`writing ${path}`);
    publish(path, (file) => writeEntries(file, { entries, settings: settingsOf(trainer.info) }));
  } finally {
    status.end();
  }
  return path;
}

function settingsOf({ optimizer, maxGradNorm, accumulate }: ProgramInfo): Record<string, number> {
  return {
    steps: STEPS,
    micro_batches: accumulate,
    learning_rate: optimizer.learningRate,
    weight_decay: optimizer.weightDecay,
    max_grad_norm: maxGradNorm,
    ...TOLERANCES,
  };
}

/** Runs the steps. What is trained is copied before, what is frozen is read when it is written. */
async function entriesOf(
  { engine, info }: Trainer,
  show: (text: string) => void,
): Promise<Entry[]> {
  const frozen = info.tensors.filter(({ name, role }) =>
    role === "weight" || role === "index" || (role === "constant" && name !== "anchor")
  ).map((tensor) => entryOf(tensor, () => engine.read(tensor.name)));
  const start = entry("parameters", engine.read("parameters"));
  const { optimizer, maxGradNorm } = info;
  const batches = Array.from({ length: STEPS }, (_, step) => batchesOf(info, step));
  show("the reference: gradients on the cpu");
  await engine.gradients(batches[0]);
  const gradients = trainedTensors(info).map(({ name }) =>
    entry(`expect.gradient.${name}`, engine.read(`${name}.grad`))
  );
  const results: { readonly loss: number; readonly gradNorm: number }[] = [];
  for (const [i, list] of batches.entries()) {
    show(`the reference: step ${i + 1} of ${STEPS} on the cpu`);
    const { learningRate, weightDecay } = optimizer;
    results.push(
      await engine.step(list, { learningRate, weightDecay, maxGradNorm, step: i + 1 }),
    );
  }
  return [
    ...frozen,
    start,
    ...batches.flatMap((list, step) => list.flatMap((batch, i) => batchEntries(batch, step, i))),
    ...gradients,
    entry("expect.losses", Float32Array.from(results, ({ loss }) => loss)),
    entry("expect.norms", Float32Array.from(results, ({ gradNorm }) => gradNorm)),
  ];
}

/** The parameters' own names; the flat vector that they are views of is none. */
function trainedTensors({ tensors }: ProgramInfo): TensorInfo[] {
  return tensors.filter(({ name, role }) => role === "parameter" && name !== "parameters");
}

/** Micro-batches of a step; every second step has packed rows of two documents, half of them supervised. */
function batchesOf(info: ProgramInfo, step: number): Batch[] {
  const packed = { documentTokens: Math.ceil(info.seqLen / 2), supervised: 0.5 };
  return Array.from({ length: info.accumulate }, (_, i) =>
    madeUpBatch(info, {
      number: step * info.accumulate + i,
      ...(step % 2 === 1 ? packed : {}),
    }));
}

function batchEntries({ inputIds, labels, segmentIds }: Batch, step: number, i: number): Entry[] {
  const stem = `batch.${step}.${i}`;
  return [
    entry(`${stem}.input_ids`, inputIds),
    entry(`${stem}.labels`, labels),
    entry(`${stem}.segment_ids`, segmentIds),
  ];
}

function entry(name: string, values: Float32Array | Int32Array): Entry {
  const type = values instanceof Int32Array ? "I32" : "F32";
  return { name, type, count: values.length, values: () => values };
}

function entryOf({ name, shape, dtype }: TensorInfo, values: Entry["values"]): Entry {
  const type = ({ f32: "F32", bf16: "BF16", i32: "I32" } as const)[dtype];
  return { name, type, count: shape.reduce((a, b) => a * b, 1), values };
}

function writeEntries(
  file: Deno.FsFile,
  { entries, settings }: {
    readonly entries: readonly Entry[];
    readonly settings: Readonly<Record<string, number>>;
  },
): void {
  const sizeOf = ({ type, count }: Entry) => (type === "BF16" ? 2 : 4) * count;
  // Offsets have a fixed width, so that the text's length does not depend on them.
  const textFrom = (begin: number) => {
    let at = begin;
    const lines = entries.map((one) => {
      const line = `entry ${one.type} ${one.count} ${`${at}`.padStart(15, "0")} ${one.name}`;
      at += padded(sizeOf(one));
      return line;
    });
    const set = Object.entries(settings).map(([name, value]) => `set ${name} ${value}`);
    return new TextEncoder().encode(["pacac-reference 1", ...set, ...lines, "end", ""].join("\n"));
  };
  const begin = padded(textFrom(0).length);
  writeAll(file, textFrom(begin), begin);
  for (const one of entries) writeAll(file, bytesOf(one), padded(sizeOf(one)));
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/** Writes bytes, and zeros up to `size`. */
function writeAll(file: Deno.FsFile, bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  const rest = new Uint8Array(size - bytes.length);
  for (let at = 0; at < rest.length;) at += file.writeSync(rest.subarray(at));
}

/** Little-endian, as every machine is that pacac runs on; bf16 values came from bf16, so their upper halves are all of them. */
function bytesOf({ name, type, count, values }: Entry): Uint8Array {
  const own = values();
  invariant(own.length === count, `${name} has ${own.length} values, not ${count}`);
  const bytes = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
  if (type !== "BF16") return bytes;
  const halves = new Uint16Array(own.buffer, own.byteOffset, 2 * count);
  const upper = Uint16Array.from({ length: count }, (_, i) => halves[2 * i + 1]);
  return new Uint8Array(upper.buffer);
}
