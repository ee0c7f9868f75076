/**
 * Candidates, calls and databases made up for the tuner's tests.
 * @module
 */
import { Graph } from "../../src/graph/graph.ts";
import type { Isa, Kernel, KernelCall, Machine } from "../../src/targets/target.ts";
import type { Entry } from "../../src/tune/database.ts";
import type { Candidate } from "../../src/tune/space.ts";

/** A machine with round figures. */
export const MACHINE: Machine = {
  processor: "test",
  threads: 2,
  flopsPerSecond: 1e11,
  bytesPerSecond: 1e10,
  measured: false,
};

/** An instruction set without flags. */
export const ISA: Isa = { name: "plain", lanes: 4, registers: 16, pairs: 0, flags: [] };

/** A call of `add` on [rows, 16]. */
export function addCall(rows: number): KernelCall {
  const graph = new Graph("test");
  const tensor = (name: string, role: "input" | "output") =>
    graph.tensor({ name, dtype: "f32", shape: [rows, 16], role });
  const [a, b, y] = [tensor("a", "input"), tensor("b", "input"), tensor("y", "output")];
  const node = {
    id: 0,
    op: "add",
    inputs: { a, b },
    outputs: { y },
    attributes: {},
    phase: "forward",
    layer: -1,
  } as const;
  graph.node(node);
  return {
    node,
    dims: { T: rows, D: 16 },
    attributes: {},
    members: [{ node, dims: { T: rows, D: 16 } }],
    operands: [
      { name: "a", tensor: a, written: false },
      { name: "b", tensor: b, written: false },
      { name: "y", tensor: y, written: true },
    ],
    epilogue: [],
  };
}

/**
 * A kernel of `add` whose template is given `kind`.
 * @param kinds Its values, the default first
 */
export function plantedKernel(kinds: readonly string[]): Kernel {
  return {
    name: "planted",
    serves: { roots: ["add"], epilogue: [] },
    tunables: { kind: kinds },
    defaults: () => ({ kind: kinds[0] }),
    legal: () => true,
    traffic: () => ({ flops: 1e6, bytes: 1e6 }),
    predict: () => 1e-5,
    workspace: () => ({ perThread: 64, shared: 64 }),
    context: (_call, { kind }) => ({ kind }),
  };
}

/**
 * A candidate that is known by its number.
 * @param number Its number
 * @param predicted Seconds
 */
export function candidate(number: number, predicted = 1): Candidate {
  return { values: { number }, text: `${number}`, predicted };
}

/**
 * An entry of the database.
 * @param changes What differs from the rest
 */
export function entry(changes: Partial<Entry> = {}): Entry {
  return {
    processor: "test",
    isa: "plain",
    threads: 2,
    compiler: "g++ 12",
    kernel: "linear",
    kernelHash: "0123",
    call: "linear x y",
    values: { mr: 4, nv: 1 },
    gain: 1.25,
    seconds: 0.01,
    flopsPerSecond: 1e9,
    measured: "2026-01-02T03:04:05.000Z",
    ...changes,
  };
}
