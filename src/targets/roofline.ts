/**
 * The roofline: what a kernel cannot be faster than, whatever it does.
 * @module
 */
import type { Kernel, Machine } from "./target.ts";

/**
 * Seconds of the longer of arithmetic at peak and traffic at full bandwidth, for all threads together.
 * @param traffic Floating-point operations and bytes moved
 * @param machine Its rates
 */
export function rooflineSeconds(
  { flops, bytes }: { readonly flops: number; readonly bytes: number },
  machine: Machine,
): number {
  return Math.max(flops / machine.flopsPerSecond, bytes / machine.bytesPerSecond);
}

/**
 * The `predict` of a kernel about which nothing better is known than its traffic.
 * @param traffic The kernel's own
 */
export function byRoofline(traffic: Kernel["traffic"]): Kernel["predict"] {
  return (call, values, { machine }) => rooflineSeconds(traffic(call, values), machine);
}
