/**
 * Writes main.cpp of a standalone program: one that checks and times a cuda program's kernels and needs only nvcc.
 * @module
 */
import { invariant, must } from "../errors.ts";
import type { Plan, PlannedCall } from "../targets/plan.ts";
import type { KernelCall } from "../targets/target.ts";
import { formatCpp, type Memo } from "./format.ts";
import type { Renderer } from "./render.ts";
import type { EmittedFile } from "./schedule.ts";

/** What {@linkcode emitMain} takes beside the plan. */
export interface EmitMainOptions {
  readonly renderer: Renderer;
  /** Kernel of each call. */
  readonly symbolOf: ReadonlyMap<PlannedCall, string>;
  readonly memo?: Memo;
}

/** Extents of a product: C[m,n] = A[m,k] B[k,n]. */
interface Extents {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The ops that are one matrix product, in the dimensions of their signatures. */
const PRODUCTS: Readonly<Record<string, (dims: KernelCall["dims"]) => Extents>> = {
  linear: ({ T, O, K }) => ({ m: T, n: O, k: K }),
  paca_linear: ({ T, O, K }) => ({ m: T, n: O, k: K }),
  linear_backward_input: ({ T, O, K }) => ({ m: T, n: K, k: O }),
  paca_linear_backward_input: ({ T, O, K }) => ({ m: T, n: K, k: O }),
  linear_backward_weight: ({ T, O, K }) => ({ m: O, n: K, k: T }),
  paca_linear_backward_delta: ({ T, O, R }) => ({ m: O, n: R, k: T }),
};

/**
 * The command that builds a standalone program in its folder.
 * @param flags Of the architecture
 */
export function buildLine(flags: readonly string[]): string {
  return [
    "nvcc -std=c++20 -O3",
    ...flags,
    "-Iinclude -o check main.cpp program.cpp schedule.cpp kernels/*.cu",
    "include/cuda/runtime/engine.cpp include/cuda/standalone/peaks.cu",
  ].join(" ");
}

/**
 * main.cpp of a plan.
 * @param plan A cuda plan
 * @param options Renderer, the kernel of each call
 */
export function emitMain(plan: Plan, options: EmitMainOptions): EmittedFile {
  const { renderer, memo, symbolOf } = options;
  const { info, target } = plan;
  const products = productsOf(plan, symbolOf);
  invariant(products.length > 0, "a program without a matrix product");
  const text = renderer.render("program/main.cpp.njk", {
    title: `${info.name} for ${target.name} (${target.isa.name})`,
    build: buildLine(target.isa.flags),
    products,
    flops: `${info.flopsPerStep}.0`,
  });
  return { file: "main.cpp", source: formatCpp(text, memo) };
}

function productsOf(
  { calls }: Plan,
  symbolOf: ReadonlyMap<PlannedCall, string>,
): (Extents & { readonly symbol: string })[] {
  const found = new Map<string, Extents>();
  for (const planned of calls) {
    const extents = PRODUCTS[planned.call.node.op]?.(planned.call.dims);
    const whole = planned.call.members.length === 1;
    if (extents !== undefined && whole) found.set(must(symbolOf.get(planned), "symbol"), extents);
  }
  return [...found].map(([symbol, extents]) => ({ symbol, ...extents }));
}
