/**
 * A recording of kernel calls: from the numbers that an addon gives to names.
 * @module
 */

/** What an addon recorded, as numbers. */
export interface NativeTrace {
  /** Threads. */
  readonly threads: number;
  /** Calls that found no room. */
  readonly dropped: number;
  /** [calls, 2 + most operands]: kernel, phase, then rows of tensors, -1 behind the last. */
  readonly calls: Int32Array;
  /** [threads, calls, 3]: begin of the work, its end, end of the wait for the others; nanoseconds since the first begin. */
  readonly times: Float64Array;
}

/** One kernel call. */
export interface TracedCall {
  /** Its kernel's name, with the shapes in it. */
  readonly kernel: string;
  /** Part of the step. */
  readonly phase: "forward" | "logits" | "backward" | "update";
  /** Tensors in the order of the kernel's operands. */
  readonly tensors: readonly string[];
  /** As the plan counts them. */
  readonly flops: number;
  /** As the plan counts them. */
  readonly bytes: number;
  /** What each thread did, in seconds since the recording's first call. */
  readonly spans: readonly TracedSpan[];
}

/** One thread's part of a call. */
export interface TracedSpan {
  /** When its work began. */
  readonly begin: number;
  /** When its work ended. */
  readonly worked: number;
  /** When all had ended theirs. */
  readonly end: number;
}

/** A recording. */
export interface KernelTrace {
  /** In order of execution. */
  readonly calls: readonly TracedCall[];
  /** Calls that found no room. */
  readonly dropped: number;
}

/** What {@linkcode readTrace} takes beside the recording. */
export interface TraceNames {
  /** The program's kernels by number. */
  readonly kernels: readonly {
    readonly kernel: string;
    readonly flops: number;
    readonly bytes: number;
  }[];
  /** The program's tensors by number. */
  readonly tensors: readonly string[];
}

const PHASES = ["forward", "logits", "backward", "update"] as const;

/**
 * Gives a recording its names.
 * @param native The numbers
 * @param names What they stand for
 */
export function readTrace(native: NativeTrace, names: TraceNames): KernelTrace {
  const { threads, dropped, times } = native;
  const count = threads === 0 ? 0 : times.length / 3 / threads;
  const row = native.calls.length / count;
  const calls = Array.from({ length: count }, (_, i): TracedCall => {
    const [kernel, phase, ...rows] = native.calls.subarray(i * row, (i + 1) * row);
    const spans = Array.from({ length: threads }, (_, thread): TracedSpan => {
      const at = (thread * count + i) * 3;
      const [begin, worked, end] = times.subarray(at, at + 3).map((time) => time * 1e-9);
      return { begin, worked, end };
    });
    const tensors = rows.filter((row) => row >= 0).map((row) => names.tensors[row]);
    return { ...names.kernels[kernel], phase: PHASES[phase], tensors, spans };
  });
  return { calls, dropped };
}
