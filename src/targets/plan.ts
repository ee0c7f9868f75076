/**
 * What the passes hand to emission: kernel calls in order, and where every tensor lies.
 * @module
 */
import type { Graph, Phase } from "../graph/graph.ts";
import type { ProgramInfo } from "../train/engine.ts";
import type { Kernel, KernelCall, Target, Tunables } from "./target.ts";

/** A kernel call with the values of its tunables. */
export interface PlannedCall {
  readonly call: KernelCall;
  readonly kernel: Kernel;
  readonly values: Tunables;
  readonly phase: Phase;
  readonly layer: number;
  readonly workspace: { readonly perThread: number; readonly shared: number };
}

/** Offsets in bytes from the arena's start; all of it is known before a byte is allocated. */
export interface Placement {
  /** By tensor id; frozen weights are not here, they stay in their files. Views are resolved. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly arenaBytes: number;
  /** Thread i's scratch lies at offset + i · perThread, the shared scratch behind them all. */
  readonly scratch: {
    readonly perThread: number;
    readonly shared: number;
    readonly offset: number;
  };
  /** Bytes by kind at the moment when most are alive. */
  readonly peak: Readonly<Record<string, number>>;
  /** Bytes that live within a step, call by call; none where every tensor has its own for good. */
  readonly activations: readonly {
    /** Kept from forward for backward. */
    readonly kept: number;
    /** All else. */
    readonly passing: number;
  }[];
}

/** A whole plan. */
export interface Plan extends Placement {
  readonly graph: Graph;
  readonly target: Target;
  readonly threads: number;
  /** In order of execution: forward, logits, backward, update. */
  readonly calls: readonly PlannedCall[];
  readonly info: ProgramInfo;
}
