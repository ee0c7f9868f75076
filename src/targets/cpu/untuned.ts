/**
 * What kernels of the cpu target have in common: predicted traffic from the op's cost and the tensors' bytes, and
 * the face of a kernel that has nothing to tune.
 * @module
 */
import { costText } from "./gemm_tiles.ts";
import { invariant } from "../../errors.ts";
import { bytesOf } from "../../graph/graph.ts";
import { opOf } from "../../ops/mod.ts";
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

/**
 * Floating-point operations by the op's cost; bytes of every operand once, of sums twice.
 * @param call The call
 */
export function traffic(call: KernelCall): { flops: number; bytes: number } {
  const { flops } = opOf(call.node.op).cost(call.dims, { ...call.attributes });
  const bytes = call.operands.reduce((total, { tensor, written }) => {
    const visits = written && tensor.role === "gradient" ? 2 : 1;
    return total + visits * bytesOf(tensor);
  }, 0);
  return { flops, bytes };
}

/**
 * The traffic as a header says it: "4.72 MFLOP over 9.44 MB".
 * @param call The call
 */
export function workOf(call: KernelCall): string {
  const { flops, bytes } = traffic(call);
  return costText(flops, bytes);
}

/**
 * A bound dimension of a call.
 * @param call The call
 * @param name The dimension in the op's signature
 */
export function dim(call: KernelCall, name: string): number {
  const extent = call.dims[name];
  invariant(extent !== undefined, `${call.node.op} has no dimension ${name}`);
  return extent;
}

/**
 * A number as a C++ float literal.
 * @param value A finite number
 */
export function floatLiteral(value: number): string {
  invariant(Number.isFinite(value), `${value} is no C++ literal`);
  const text = String(value);
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
