/**
 * Each kernel's time against what the machine allows: the longer of its arithmetic at peak and its traffic at full bandwidth.
 * @module
 */

/** What a machine can do. */
export interface Rates {
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** A kernel's calls. */
interface Timed {
  readonly calls: number;
  /** All of them together. */
  readonly seconds: number;
  /** Of one call. */
  readonly flops: number;
  readonly bytes: number;
}

/** A kernel against its roofline. */
export interface Roofline {
  readonly gflops: number;
  readonly gbytes: number;
  /** Least time by the machine's rates, over the time taken. */
  readonly share: number;
  readonly bound: "compute" | "memory";
}

/**
 * A kernel's rates, and the share of its roofline that it reaches.
 * @param kernel Its time
 * @param rates The machine's
 */
export function rooflineOf(kernel: Timed, rates: Rates): Roofline {
  const { calls, seconds } = kernel;
  const flops = kernel.flops * calls, bytes = kernel.bytes * calls;
  const compute = flops / rates.flopsPerSecond, memory = bytes / rates.bytesPerSecond;
  return {
    gflops: flops / seconds / 1e9,
    gbytes: bytes / seconds / 1e9,
    share: Math.max(compute, memory) / seconds,
    bound: compute >= memory ? "compute" : "memory",
  };
}
