/**
 * Writes the source of the kernels that a plan calls: one file for each distinct text.
 * @module
 */
import { createHash } from "node:crypto";
import type { Attribute, DType } from "../graph/graph.ts";
import { invariant } from "../errors.ts";
import { OPS } from "../ops/mod.ts";
import type { CallOperand, Isa, KernelCall } from "../targets/target.ts";
import { formatCpp, type Memo } from "./format.ts";
import type { PlannedCall } from "../targets/plan.ts";
import { cFloat, type Renderer } from "./render.ts";

/** C++ type of an element. */
const CPP_TYPES: Readonly<Record<DType, string>> = {
  f32: "float",
  bf16: "bf16",
  i32: "std::int32_t",
};

/** A kernel's source. */
export interface KernelSource {
  /** Name of the function, unique to its text. */
  readonly symbol: string;
  /** Path in the generated folder. */
  readonly file: string;
  readonly source: string;
}

/** What {@linkcode renderKernel} takes beside the call. */
export interface RenderKernelOptions {
  readonly isa: Isa;
  readonly renderer: Renderer;
  /** The target's folder of templates. */
  readonly target: string;
  readonly memo?: Memo;
}

/** Common fields of every kernel template. */
export interface KernelContext {
  /** The function's name. */
  readonly symbol: string;
  /** What it computes, in one line: the op with the shapes of its operands. */
  readonly title: string;
  /** C++ lines that give each operand its name and type. */
  readonly casts: readonly string[];
  /** cuda: the parameters of every `__global__` function: operands, workspace where there is one, part where launches have one. */
  readonly parameters: string;
  /** Operand -> C++ type of its elements. */
  readonly types: Readonly<Record<string, string>>;
  readonly dims: Readonly<Record<string, number>>;
  /** As C++ literals. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Operand of the op, or `residual` -> whether the call has it. */
  readonly has: Readonly<Record<string, boolean>>;
  /** The kernel's own fields. */
  readonly k: Readonly<Record<string, unknown>>;
}

/**
 * The source of one call's kernel.
 * @param planned The call
 * @param options Instruction set, renderer, the target's name
 */
function renderKernel(planned: PlannedCall, options: RenderKernelOptions): KernelSource {
  const { call, kernel, values } = planned;
  const { isa, renderer, target, memo } = options;
  const extension = target === "cuda" ? "cu" : "cpp";
  // The name holds a hash of the text, the text holds the name: zeros stand in while it is computed.
  const stem = symbolStem(kernel.name, call);
  const provisional = `${stem}_${"0".repeat(8)}`;
  const context = contextOf(planned, { symbol: provisional, k: kernel.context(call, values, isa) });
  const text = renderer.render(`${target}/${kernel.name}.${extension}.njk`, { ...context });
  invariant(text.includes(provisional), `template of ${kernel.name} does not use symbol`);
  const symbol = `${stem}_${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
  const source = formatCpp(text.replaceAll(provisional, symbol), memo);
  return { symbol, file: `kernels/${symbol}.${extension}`, source };
}

/** `linear_T2048_K576_O1536`: the kernel and its dimensions. */
function symbolStem(name: string, call: KernelCall): string {
  const group = call.members.length > 1 ? ["group"] : [];
  return [name, ...group, ...dimsText(call)].join("_").replaceAll(/[^A-Za-z0-9_]/g, "_");
}

/**
 * The dimensions of a call, `T2048`; where members of a group differ, one extent for each, `O576_192_192`.
 * @param call The call
 */
export function dimsText({ members }: KernelCall): string[] {
  const names = new Set(members.flatMap(({ dims }) => Object.keys(dims)));
  return [...names].map((name) => {
    const extents = members.map(({ dims }) => dims[name] ?? 0);
    return `${name}${new Set(extents).size === 1 ? extents[0] : extents.join("_")}`;
  });
}

/**
 * What a call computes: the ops of its members and the steps behind them, `linear, paca_linear + rope`.
 * @param call The call
 */
function callText({ members, epilogue }: KernelCall): string {
  const ops = members.map(({ node }) => node.op).join(", ");
  return [ops, ...epilogue.map(({ step }) => step)].join(" + ");
}

function contextOf(
  planned: PlannedCall,
  { symbol, k }: { readonly symbol: string; readonly k: KernelContext["k"] },
): KernelContext {
  const { call } = planned;
  return {
    symbol,
    title: titleOf(call),
    casts: call.operands.map(castOf),
    parameters: parametersOf(planned),
    types: Object.fromEntries(
      call.operands.map(({ name, tensor }) => [identifier(name), CPP_TYPES[tensor.dtype]]),
    ),
    dims: call.dims,
    attributes: Object.fromEntries(
      Object.entries(call.attributes).map(([name, value]) => [name, literal(value)]),
    ),
    has: presence(call),
    k,
  };
}

function titleOf(call: KernelCall): string {
  const list = (written: boolean) =>
    call.operands.filter((operand) => operand.written === written).map(({ name, tensor }) =>
      `${name} ${tensor.dtype}[${tensor.shape.join(", ")}]`
    ).join(", ");
  return `${callText(call)}: ${list(false)} -> ${list(true)}`;
}

function castOf({ name, tensor, written }: CallOperand, index: number): string {
  const type = `${written ? "" : "const "}${CPP_TYPES[tensor.dtype]}*`;
  return `${type} const ${identifier(name)} = static_cast<${type}>(operand[${index}]);`;
}

/** The operand `weight.1` as C++ names it. */
function identifier(name: string): string {
  return name.replaceAll(".", "_");
}

function parametersOf({ call, kernel, values, workspace }: PlannedCall): string {
  const operands = call.operands.map(({ name, tensor, written }) =>
    `${written ? "" : "const "}${CPP_TYPES[tensor.dtype]}* ${identifier(name)}`
  );
  const parts = kernel.launches?.(call, values).some(({ part }) => part !== undefined) === true;
  const space = workspace.shared > 0 ? ["std::byte* workspace"] : [];
  return [...operands, ...space, ...parts ? ["int part"] : []].join(", ");
}

/** Whole numbers stay whole; anything else is a float32. */
function literal(value: Attribute): string | number | boolean {
  return typeof value === "number" && !Number.isInteger(value) ? cFloat(value) : value;
}

function presence(call: KernelCall): Record<string, boolean> {
  const op = OPS.find(({ name }) => name === call.node.op);
  const signature = op === undefined ? [] : [...op.inputs, ...op.outputs];
  const names = [...signature.map((operand) => operand.name), "residual"];
  const there = new Set(call.operands.map((operand) => identifier(operand.name)));
  return Object.fromEntries([...names, ...there].map((name) => [name, there.has(name)]));
}

/** The distinct kernels of a plan, and the symbol of each call. */
export interface KernelSources {
  readonly sources: readonly KernelSource[];
  readonly symbolOf: ReadonlyMap<PlannedCall, string>;
}

/**
 * Renders each distinct kernel of a plan once.
 * @param calls The plan's calls
 * @param options As for {@linkcode renderKernel}
 */
export function renderKernels(
  calls: readonly PlannedCall[],
  options: RenderKernelOptions,
): KernelSources {
  const rendered = new Map<string, KernelSource>();
  const sources = new Map<string, KernelSource>();
  const symbolOf = new Map<PlannedCall, string>();
  for (const planned of calls) {
    const key = keyOf(planned, options.isa);
    const source = rendered.get(key) ?? renderKernel(planned, options);
    rendered.set(key, source);
    sources.set(source.symbol, source);
    symbolOf.set(planned, source.symbol);
  }
  return { sources: [...sources.values()], symbolOf };
}

/** Everything that the rendered text depends on. */
function keyOf(planned: PlannedCall, isa: Isa): string {
  const { call, kernel, values } = planned;
  const k = kernel.context(call, values, isa);
  return JSON.stringify([kernel.name, contextOf(planned, { symbol: "", k })]);
}
