/**
 * The roofline: what a kernel cannot be faster than, whatever it does.
 * @module
 */
import type { Kernel } from "./target.ts";

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
