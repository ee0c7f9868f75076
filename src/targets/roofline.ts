/**
 * The roofline: what a kernel cannot be faster than, whatever it does.
 * @module
 */
import type { DType } from "../graph/graph.ts";
import type { Kernel, Machine } from "./target.ts";

/**
 * The machine as a program is measured by: its peak is the one of products of bf16 pairs, where weights are stored so and that is higher.
 * @param machine The machine's rates
 * @param storage The program's
 */
export function machineAtStorage<M extends Pick<Machine, "flopsPerSecond" | "pairFlopsPerSecond">>(
  machine: M,
  storage: DType,
): M {
  const { flopsPerSecond, pairFlopsPerSecond = 0 } = machine;
  if (storage !== "bf16" || pairFlopsPerSecond <= flopsPerSecond) return machine;
  return { ...machine, flopsPerSecond: pairFlopsPerSecond };
}

/**
 * The `predict` of a kernel about which nothing better is known than its traffic: seconds of the longer of arithmetic at peak
 * and traffic at full bandwidth, for all threads together.
 * @param traffic The kernel's own
 */
export function byRoofline(traffic: Kernel["traffic"]): Kernel["predict"] {
  return (call, values, { machine }) => {
    const { flops, bytes } = traffic(call, values);
    return Math.max(flops / machine.flopsPerSecond, bytes / machine.bytesPerSecond);
  };
}
