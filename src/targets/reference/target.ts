/**
 * The reference target as data: one kernel, the interpreter, serves every op; nothing is fused, placed or measured.
 * @module
 */
import { elements, type Graph } from "../../graph/graph.ts";
import { opOf, OPS } from "../../ops/mod.ts";
import type { Placement } from "../plan.ts";
import { byRoofline } from "../roofline.ts";
import type { Kernel, KernelCall, Machine, Target } from "../target.ts";

/** Bytes of a float64. */
const FLOAT_BYTES = 8;
/** Bytes of an int32: ids, indices, positions. */
const INTEGER_BYTES = 4;

const interpret: Kernel = {
  name: "interpret",
  serves: { roots: OPS.map(({ name }) => name), epilogue: [] },
  tunables: {},
  defaults: () => ({}),
  legal: () => true,
  traffic,
  predict: byRoofline(traffic),
  workspace: () => ({ perThread: 0, shared: 0 }),
  context: () => ({}),
};

/** Float64 in TypeScript. */
export const referenceTarget: Target = {
  name: "reference",
  kernels: [interpret],
  isa: { name: "float64", lanes: 1, registers: 0, pairs: 0, flags: [] },
};

/** What an interpreter reaches, to the order of magnitude: its time is not what anyone plans by. */
export const REFERENCE_MACHINE: Machine = {
  processor: "interpreter in TypeScript",
  threads: 1,
  flopsPerSecond: 5e8,
  bytesPerSecond: 1e10,
  measured: false,
};

/**
 * Memory of the interpreter: every tensor has its own, for good.
 * @param graph The graph
 */
export function interpretedPlacement(graph: Graph): Placement {
  const bytes = graph.tensors.filter((tensor) => tensor.view === undefined).reduce(
    (sum, { dtype, shape }) =>
      sum + elements(shape) * (dtype === "i32" ? INTEGER_BYTES : FLOAT_BYTES),
    0,
  );
  return {
    offsets: new Map(),
    arenaBytes: bytes,
    scratch: { perThread: 0, shared: 0, offset: 0 },
    peak: { "values of all tensors": bytes },
    activations: [],
  };
}

function traffic(call: KernelCall): { flops: number; bytes: number } {
  return {
    flops: opOf(call.node.op).cost(call.dims, { ...call.attributes }).flops,
    bytes: call.operands.reduce((sum, { tensor }) => sum + FLOAT_BYTES * elements(tensor.shape), 0),
  };
}
