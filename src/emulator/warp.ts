/**
 * A warp: 32 lanes of registers, and which lanes stand where.
 *
 * A register of 32 bits is a row of 32 words; one of 64 bits is a row of 32 pairs, low word first, so that a double is a
 * double in the row. Predicates are masks, a bit for each lane. Immediates and special registers are rows too, filled
 * before the warp starts: every operand is a row, and no instruction asks what kind its operands are.
 * @module
 */
import type { Block } from "./block.ts";

/** Views of the register file. */
export interface Views {
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
}

/** Name of a view. */
export type View = keyof Views;

/** Lanes that stand at the same instruction. */
interface Group {
  pc: number;
  mask: number;
  /** Waits for lanes that are not here yet. */
  blocked: boolean;
}

/** A copy on its way to shared memory. */
export interface AsyncCopy {
  /** Which group of the warp, counted from 0. */
  group: number;
  site: number;
  mask: number;
  bytes: number;
  /** Where to, by lane. */
  readonly to: Uint32Array;
  /** 16 bytes for each lane, as words. */
  readonly data: Int32Array;
}

/** A warp of a block. */
export class Warp implements Views {
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  /** A mask for each predicate. */
  readonly p: Int32Array;
  /** The block that it belongs to. */
  readonly block: Block;
  /** Its number in the block. */
  readonly index: number;
  /** Lanes that take part in the instruction that runs. */
  mask = 0;
  /** Index of the instruction that runs. */
  pc = 0;
  /** Where it goes on after a barrier. */
  resume = 0;
  /** Lanes that have not ended. */
  live = 0;
  /** Lanes of the group that runs. */
  group = 0;
  /** The other groups. */
  readonly waiting: Group[] = [];
  /** Barrier at which it waits; −1 where it does not. */
  barrier = -1;
  /** Copies that were started and not waited for, and how many groups were committed. */
  copies: AsyncCopy[] = [];
  committed = 0;
  /** Records of copies that have arrived, to be used again. */
  readonly spare: AsyncCopy[] = [];
  /** Its stretch between barriers in the checker's books. */
  segment = 0;

  /**
   * @param block Its block
   * @param index Its number
   * @param size Words of its registers (a multiple of 64), and predicates
   */
  constructor(
    block: Block,
    index: number,
    size: { readonly words: number; readonly predicates: number },
  ) {
    this.block = block;
    this.index = index;
    const buffer = new ArrayBuffer(size.words * 4);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.p = new Int32Array(size.predicates);
  }

  /** Sets the warp to the first instruction. @param live Lanes that exist */
  restart(live: number): void {
    this.live = live;
    this.group = live;
    this.pc = 0;
    this.waiting.length = 0;
    this.barrier = -1;
    this.resume = 0;
    this.copies = [];
    this.committed = 0;
    this.p.fill(0);
  }

  /** Where the next other group stands: the running one must look up then. */
  get limit(): number {
    let limit = Infinity;
    for (const { pc } of this.waiting) limit = Math.min(limit, pc);
    return limit;
  }

  /** Splits off lanes that go elsewhere. @param pc Where they stand @param mask Which */
  park(pc: number, mask: number, blocked = false): void {
    this.waiting.push({ pc, mask, blocked });
  }

  /**
   * Merges groups that met and turns to the lowest one that may run.
   * @param pc Where the running group stands; it is left out where it has no lanes
   * @returns Where to go on; −1 where no group may run
   */
  regroup(pc: number): number {
    if (this.group !== 0) this.park(pc, this.group);
    const met = new Map<number, Group>();
    for (const one of this.waiting) {
      const same = met.get(one.pc);
      if (same === undefined) met.set(one.pc, one);
      else met.set(one.pc, { pc: one.pc, mask: same.mask | one.mask, blocked: false });
    }
    this.waiting.length = 0;
    let lowest: Group | undefined;
    for (const one of met.values()) {
      if (!one.blocked && (lowest === undefined || one.pc < lowest.pc)) lowest = one;
    }
    for (const one of met.values()) if (one !== lowest) this.waiting.push(one);
    this.group = lowest?.mask ?? 0;
    return lowest?.pc ?? -1;
  }
}
