/**
 * What a target is, as data: its kernels, its instruction set, its machine. Passes see nothing else of it.
 * @module
 */
import type { Attribute, Node, Tensor } from "../graph/graph.ts";
import type { Dims } from "../ops/op.ts";

/** An instruction set of a target. */
export interface Isa {
  readonly name: string;
  /** float32 lanes of a vector register. */
  readonly lanes: number;
  readonly registers: number;
  /** How many pairs of bf16 a step of a product takes along k: none, one where vectors of them are multiplied, 16 where tiles are. */
  readonly pairs: 0 | 1 | 16;
  /** Compiler flags. */
  readonly flags: readonly string[];
}

/** Measured (or, where `measured` is false, assumed) rates of the machine at hand, for all its threads. */
export interface Machine {
  readonly processor: string;
  readonly threads: number;
  /** float32 multiply-adds count as two. */
  readonly flopsPerSecond: number;
  /** The same of pairs of bf16, where the instruction set multiplies them. */
  readonly pairFlopsPerSecond?: number | undefined;
  readonly bytesPerSecond: number;
  readonly measured: boolean;
  /** cuda: of the GPU. */
  readonly multiprocessors?: Multiprocessors;
  /** cuda: that all SMs together read from the L2 cache. */
  readonly cacheBytesPerSecond?: number;
}

/** How many multiprocessors (SMs) a GPU has, and what each of them has. */
export interface Multiprocessors {
  readonly count: number;
  /** Resident at a time. */
  readonly threads: number;
  readonly blocks: number;
  /** Of 32 bits. */
  readonly registers: number;
  readonly sharedBytes: number;
}

/** How many blocks of a launch an SM holds at a time. */
export interface Occupancy {
  readonly blocks: number;
  /** Of a block. */
  readonly threads: number;
  /** What allows no more of them. */
  readonly limit: "threads" | "registers" | "shared memory" | "blocks";
  /** Their threads as a share of those that an SM can hold. */
  readonly share: number;
}

/** Chosen values of a kernel's tunable parameters. */
export type Tunables = Readonly<Record<string, number | string>>;

/**
 * A step fused behind a kernel's root op, on sums that are still in cache; it is named after the op that it takes over.
 * - add: y += residual[T,O].
 * - rope: whole heads of y are rotated by `position` and `table`; with `inverse`, back.
 * - swiglu: of a group of two, gated[T,O] = silu(y.0) · y.1; y.0 and y.1 are stored where anything else reads them.
 * - swiglu_backward: dy, the sums themselves, is never stored; dgate and dup are made of it, gate and up.
 */
export type EpilogueStep = "add" | "rope" | "swiglu" | "swiglu_backward";

/** A step as one call has it. */
export interface FusedStep {
  readonly step: EpilogueStep;
  /** The member behind whose first output it stands; the first of them where it takes several. */
  readonly member: number;
  /** The node that it takes over. */
  readonly node: Node;
}

/**
 * How several nodes become one call of a kernel.
 * - shared_input: nodes that read the same first input, which is read once for all of them.
 * - summed_output: nodes whose first outputs are only added up.
 */
export type Grouping = "shared_input" | "summed_output";

/** One of the nodes that a call computes. */
export interface Member {
  readonly node: Node;
  readonly dims: Dims;
}

/** One use of a kernel: its root nodes and what was fused into them. */
export interface KernelCall {
  /** The first member's node, dimensions and attributes. */
  readonly node: Node;
  readonly dims: Dims;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** One node, or a group. */
  readonly members: readonly Member[];
  /**
   * Operands in the order in which the generated function receives their pointers: the op's inputs, then its
   * outputs, in the order of the signature, absent ones left out; then the operands of epilogue steps.
   */
  readonly operands: readonly CallOperand[];
  readonly epilogue: readonly FusedStep[];
}

/** One pointer that a kernel receives. */
export interface CallOperand {
  /**
   * Name in the op's signature, or of an operand of an epilogue step. In a group, `weight.1` is that of member 1;
   * what the members share has no number.
   */
  readonly name: string;
  readonly tensor: Tensor;
  /** Whether the kernel writes (or, for gradients, adds to) it. */
  readonly written: boolean;
}

/** One launch of a `__global__` function (cuda). Its arguments are the call's operands, the workspace where there is one, then `part`. */
export interface Launch {
  /** What stands behind the kernel's symbol in the function's name: "", "_total". */
  readonly entry: string;
  /** Blocks. */
  readonly grid: readonly [number, number, number];
  /** Threads of a block. */
  readonly threads: number;
  /** Dynamic shared memory of a block, bytes. */
  readonly shared: number;
  /** Shared memory that the function declares itself, at most. */
  readonly fixedShared: number;
  /** Of a thread, at most. */
  readonly registers: number;
  /** The function's last argument, where a kernel goes through its work in parts. */
  readonly part?: number;
}

/** A kernel: which op it serves, what can be tuned, and what its template is told. */
export interface Kernel {
  /** The stem: src/targets/T/kernels/NAME.ts and templates/T/NAME.*.njk. */
  readonly name: string;
  readonly serves: {
    /** The ops that this kernel is the code for. */
    readonly roots: readonly string[];
    /** Chains of steps that may be fused behind the root's first output, in their order; any may be left out. */
    readonly epilogue: readonly (readonly EpilogueStep[])[];
    /** Which nodes may become such a step behind a call's members, where not all. */
    readonly step?: (node: Node, members: readonly Node[]) => boolean;
    /** How several root nodes may be one call. */
    readonly group?: Grouping;
    /** Which nodes of these ops, where not all: those of one token. */
    readonly only?: (node: Node) => boolean;
  };
  /** Every tunable parameter with its values. */
  readonly tunables: Readonly<Record<string, readonly (number | string)[]>>;
  /** The values taken where nothing was tuned. */
  readonly defaults: (call: KernelCall, isa: Isa) => Tunables;
  /** Whether values fit the registers and the shape. */
  readonly legal: (values: Tunables, isa: Isa, call: KernelCall) => boolean;
  /** Floating-point operations and bytes moved. */
  readonly traffic: (call: KernelCall, values: Tunables) => { flops: number; bytes: number };
  /** Seconds of the call with these values on a machine: ranks candidates before any is built. */
  readonly predict: (
    call: KernelCall,
    values: Tunables,
    on: { readonly isa: Isa; readonly machine: Machine },
  ) => number;
  /** Bytes of scratch for each thread, and shared by all threads of the call. */
  readonly workspace: (
    call: KernelCall,
    values: Tunables,
    isa: Isa,
  ) => { perThread: number; shared: number };
  /** All that the template may read beside the common fields. Plain data. */
  readonly context: (
    call: KernelCall,
    values: Tunables,
    isa: Isa,
  ) => Readonly<Record<string, unknown>>;
  /** cuda: the launches of a call, in order. */
  readonly launches?: (call: KernelCall, values: Tunables) => readonly Launch[];
  /** cuda: occupancy of the largest launch on a machine, where its multiprocessors are known. Predicted, as registers are bounds. */
  readonly occupancy?: (
    call: KernelCall,
    values: Tunables,
    machine: Machine,
  ) => Occupancy | undefined;
}

/** A target. */
export interface Target {
  readonly name: "cpu" | "cuda" | "reference";
  readonly kernels: readonly Kernel[];
  readonly isa: Isa;
}
