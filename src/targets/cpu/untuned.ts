/**
 * The face of a kernel of the cpu target that has nothing to tune.
 * @module
 */
import { traffic, workOf } from "../calls.ts";
import { byRoofline } from "../roofline.ts";
import type { Kernel, KernelCall } from "../target.ts";

/** What an untuned kernel may say beside its name. */
export interface UntunedOptions {
  /** Fields of the template's context beside `work`. */
  readonly context?: (call: KernelCall) => Readonly<Record<string, unknown>>;
  /** Bytes shared by the threads of a call. */
  readonly shared?: (call: KernelCall) => number;
  /** Whether the sum with a residual may be fused behind the first output. */
  readonly residual?: boolean;
}

/**
 * A kernel without tunable parameters that serves the op of its own name.
 * @param name The op's name, and the template's
 * @param options Context, workspace, epilogue
 */
export function untuned(name: string, options: UntunedOptions = {}): Kernel {
  return {
    name,
    serves: { roots: [name], epilogue: options.residual === true ? [["add"]] : [] },
    tunables: {},
    defaults: () => ({}),
    legal: () => true,
    traffic,
    predict: byRoofline(traffic),
    workspace: (call) => ({ perThread: 0, shared: options.shared?.(call) ?? 0 }),
    context: (call) => ({ work: workOf(call), ...options.context?.(call) }),
  };
}
