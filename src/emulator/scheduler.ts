/**
 * Runs a grid: blocks one after another, in a block each warp until it must wait, in a warp the lowest group of lanes first.
 *
 * Lanes that branch apart form groups. The group at the lowest instruction runs, until it comes to where another group stands:
 * there they merge. nvcc lays code out so that lanes meet again behind what they did apart.
 * @module
 */
import { Barriers } from "./barrier.ts";
import type { Block } from "./block.ts";
import { type Decoded, EVERYBODY, NOBODY, type Program } from "./decode.ts";
import { type FindingKind, Halt } from "./findings.ts";
import { countBits } from "./ops/integer32.ts";
import { specialValue } from "./specials.ts";
import type { Warp } from "./warp.ts";

/** What a grid runs with. */
export interface RunOptions {
  /** Blocks of the grid. */
  readonly blocks: number;
  /** Is counted up: times that a warp came by each instruction. */
  readonly counts: Float64Array;
  /** Branches taken by a warp before it counts as endless. */
  readonly maxBranches: number;
}

/**
 * Runs a grid. It ends early where a finding makes going on senseless.
 * @param program The kernel
 * @param block The block to run it in
 * @param options Blocks, counts, limit
 * @returns Whether all blocks ended
 */
export function runGrid(program: Program, block: Block, options: RunOptions): boolean {
  const scheduler = new Scheduler(program, block, options);
  try {
    for (let linear = 0; linear < options.blocks; linear++) scheduler.runBlock(linear);
    return true;
  } catch (error) {
    if (error instanceof Halt) return false;
    throw error;
  }
}

class Scheduler {
  readonly #program: Program;
  readonly #block: Block;
  readonly #options: RunOptions;
  readonly #barriers = new Barriers();
  #branches = 0;

  constructor(program: Program, block: Block, options: RunOptions) {
    this.#program = program;
    this.#block = block;
    this.#options = options;
    for (const warp of block.warps) this.#fillConstants(warp);
  }

  runBlock(linear: number): void {
    const block = this.#block;
    block.linear = linear;
    block.shared.u8.fill(0xff);
    block.checker?.startBlock(block);
    this.#barriers.clear();
    this.#branches = 0;
    for (const warp of block.warps) {
      warp.restart(block.lanesOf(warp.index));
      this.#fillSpecials(warp);
      block.checker?.startSegment(warp);
    }
    for (;;) {
      const live = block.warps.filter((warp) => warp.live !== 0);
      if (live.length === 0) return;
      const ready = live.filter((warp) => warp.barrier < 0);
      for (const warp of ready) this.#runWarp(warp);
      const left = live.filter((warp) => warp.live !== 0);
      const released = this.#barriers.release(left);
      if (!released && left.length > 0 && left.every((warp) => warp.barrier >= 0)) {
        this.#deadlock(left);
      }
    }
  }

  #deadlock(left: readonly Warp[]): never {
    for (const warp of left) {
      const absent = left.filter((other) => other.barrier !== warp.barrier);
      const whom = absent.length === 0
        ? "warps that have ended or threads that are not in the block"
        : `warps ${absent.map(({ index }) => index).join(", ")}, which wait at another barrier`;
      const message = `barrier ${warp.barrier} waits for ${whom}`;
      this.#block.findings.add(warp, { kind: "deadlock", site: warp.pc, lane: 0, message });
    }
    throw new Halt("deadlock");
  }

  /** Runs until the warp waits at a barrier or has ended. */
  #runWarp(warp: Warp): void {
    const { code } = this.#program;
    const { counts } = this.#options;
    const block = this.#block;
    let pc = warp.resume;
    let { limit } = warp;
    while (pc >= 0) {
      if (pc >= limit) {
        pc = warp.regroup(pc);
        limit = warp.limit;
      }
      const one = code[pc];
      counts[pc]++;
      block.ticks++;
      const mask = one.guard < 0 ? warp.group : warp.group & (warp.p[one.guard] ^ one.flip);
      const { step } = one;
      if (mask === 0) pc++;
      else if (step.kind === "run" && one.together === NOBODY) {
        warp.pc = pc;
        warp.mask = mask;
        step.run(warp);
        pc++;
      } else if (step.kind === "branch" && mask === warp.group) {
        if (step.target <= pc) this.#countBranch(warp);
        pc = step.target;
      } else {
        warp.pc = pc;
        warp.mask = mask;
        pc = this.#control(warp, one, pc);
        limit = warp.limit;
      }
    }
  }

  /** What the running group does at an instruction that may part it. @returns Where to go on; −1 where the warp stops */
  #control(warp: Warp, one: Decoded, pc: number): number {
    const { step } = one;
    const { mask } = warp;
    switch (step.kind) {
      case "run":
        if (isAlone(warp, one)) return this.#wait(warp, pc);
        step.run(warp);
        return pc + 1;
      case "branch":
        if (step.target <= pc) this.#countBranch(warp);
        warp.park(step.target, mask);
        warp.group &= ~mask;
        return warp.regroup(pc + 1);
      case "table":
        return this.#spread(warp, step, pc);
      case "exit":
        return this.#exit(warp, pc);
      case "trap":
        this.#halt(warp, "divergent", "the kernel traps");
        return -1;
      case "barrier":
        if (mask !== warp.live) return this.#wait(warp, pc);
        this.#barriers.arrive(warp, step.barrier);
        warp.resume = pc + 1;
        return step.barrier.waits ? -1 : pc + 1;
    }
  }

  /** Lanes are missing: the group waits for them, the others go on. */
  #wait(warp: Warp, pc: number): number {
    warp.park(pc, warp.group, true);
    warp.group = 0;
    const next = warp.regroup(pc);
    if (next >= 0) return next;
    const lanes = countBits(warp.live & ~warp.mask);
    this.#halt(warp, "divergent", `${lanes} lanes of the warp are missing, and never come here`);
    return -1;
  }

  #exit(warp: Warp, pc: number): number {
    warp.live &= ~warp.mask;
    warp.group &= ~warp.mask;
    // Whoever waited for these lanes need not any more.
    for (const one of warp.waiting) one.blocked = false;
    return warp.live === 0 ? -1 : warp.regroup(pc + 1);
  }

  /** `brx.idx`: each lane to the target of its index. */
  #spread(
    warp: Warp,
    { row, targets }: { readonly row: number; readonly targets: readonly number[] },
    pc: number,
  ): number {
    for (let i = 0; i < 32; i++) {
      if ((warp.mask >>> i & 1) === 0) continue;
      const target = targets[warp.u32[row + i]];
      if (target === undefined) this.#halt(warp, "out-of-bounds", "the index is past its table");
      else warp.park(target, 1 << i);
    }
    warp.group &= ~warp.mask;
    return warp.regroup(pc + 1);
  }

  #countBranch(warp: Warp): void {
    if (++this.#branches <= this.#options.maxBranches) return;
    this.#halt(warp, "endless", `the block took over ${this.#options.maxBranches} branches back`);
  }

  #halt(warp: Warp, kind: FindingKind, message: string): never {
    const lane = 31 - Math.clz32(warp.mask & -warp.mask);
    this.#block.findings.add(warp, { kind, site: warp.pc, lane, message });
    throw new Halt(message);
  }

  #fillConstants({ i32 }: Warp): void {
    for (const { word, width, value } of this.#program.layout.fixed) {
      if (typeof value !== "bigint") continue;
      const step = width / 32;
      for (let i = 0; i < 32; i++) {
        i32[word + i * step] = Number(BigInt.asIntN(32, value));
        if (step === 2) i32[word + 2 * i + 1] = Number(BigInt.asIntN(32, value >> 32n));
      }
    }
  }

  #fillSpecials(warp: Warp): void {
    for (const { word, width, value } of this.#program.layout.fixed) {
      if (typeof value === "bigint") continue;
      const step = width / 32;
      for (let i = 0; i < 32; i++) warp.i32[word + i * step] = specialValue(value, warp, i);
    }
  }
}

/** Whether lanes that must take part stand elsewhere. */
function isAlone(warp: Warp, { together }: Decoded): boolean {
  const lane = 31 - Math.clz32(warp.mask & -warp.mask);
  const wanted = together === EVERYBODY ? warp.live : warp.i32[together + lane] & warp.live;
  return (wanted & ~warp.mask) !== 0;
}
