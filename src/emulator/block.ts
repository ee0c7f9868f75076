/**
 * A block that runs: what its warps share.
 * @module
 */
import type { Checker } from "./checker.ts";
import type { Device } from "./device.ts";
import type { Findings } from "./findings.ts";
import { Memory } from "./memory.ts";
import { Warp } from "./warp.ts";

/** Three extents, as of a grid or a block. */
export type Extents = readonly [number, number, number];

/** What a launch gives its blocks. */
export interface BlockSetting {
  readonly device: Device;
  /** The parameter block. */
  readonly parameters: Memory;
  readonly findings: Findings;
  readonly checker: Checker | undefined;
  readonly grid: Extents;
  readonly size: Extents;
  readonly sharedBytes: number;
  /** Bytes of local memory of a thread. */
  readonly localBytes: number;
  readonly registers: { readonly words: number; readonly predicates: number };
}

/** The block that runs; it is used again for the next one. */
export class Block {
  readonly setting: BlockSetting;
  readonly device: Memory;
  readonly shared: Memory;
  readonly parameters: Memory;
  readonly findings: Findings;
  readonly checker: Checker | undefined;
  readonly warps: readonly Warp[];
  /** Local memory of each warp: 32 threads, one behind the other. */
  readonly local: readonly Memory[];
  /** Number in the grid. */
  linear = 0;
  /** Warp instructions that ran: what clocks show. */
  ticks = 0;

  /** @param setting What the launch gives */
  constructor(setting: BlockSetting) {
    this.setting = setting;
    this.device = setting.device.memory;
    this.shared = new Memory(setting.sharedBytes);
    this.parameters = setting.parameters;
    this.findings = setting.findings;
    this.checker = setting.checker;
    const threads = setting.size.reduce((a, b) => a * b);
    const count = Math.ceil(threads / 32);
    this.warps = Array.from({ length: count }, (_, i) => new Warp(this, i, setting.registers));
    this.local = this.warps.map(() => new Memory(32 * setting.localBytes));
  }

  /** Lanes of a warp that exist. @param warp Its number */
  lanesOf(warp: number): number {
    const threads = this.setting.size.reduce((a, b) => a * b);
    const lanes = Math.min(32, threads - warp * 32);
    return lanes === 32 ? -1 : (1 << lanes) - 1;
  }
}
