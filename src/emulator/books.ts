/**
 * Books of a launch's memory accesses: which instruction of which warp each was, and what lies between two of them.
 *
 * Order comes from barriers alone, not from when the emulator happened to run a warp. Each warp has a clock that a barrier
 * advances, and knows of the others' clocks what barriers told it (a vector clock). An access is ordered before another
 * where the other's warp knows a later time of it. Named barriers for a part of the warps follow from that.
 *
 * Blocks of a launch are ordered by nothing but this: a block that fenced and then did an atomic releases what it did
 * before the fence to blocks that do an atomic on the same address later.
 * @module
 */

/** Most warps of a block. */
const WARPS = 32;

/** Typed arrays that grow. */
class Column {
  values = new Uint32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const more = new Uint32Array(this.length * 2);
      more.set(this.values);
      this.values = more;
    }
    this.values[this.length++] = value;
  }
}

/** The books. Accesses are counted from the launch's first. */
export class Books {
  readonly #instruction = new Column();
  readonly #segment = new Column();
  readonly #segmentBlock = new Column();
  readonly #segmentWarp = new Column();
  readonly #segmentTime = new Column();
  /** What warp w knows of warp v's clock, at w · 32 + v. */
  readonly #known = new Uint32Array(WARPS * WARPS);
  readonly #fenced = new Uint32Array(WARPS);
  readonly #released = new Map<number, Map<number, number>>();
  #acquired = new Map<number, number>();
  #block = 0;

  /** Accesses so far. */
  get length(): number {
    return this.#instruction.length;
  }

  /** Starts a block: its warps know nothing of each other yet. @param block Its number @param warps How many */
  startBlock(block: number): void {
    this.#block = block;
    this.#known.fill(0);
    for (let w = 0; w < WARPS; w++) this.#known[w * WARPS + w] = 1;
    this.#fenced.fill(0);
    this.#acquired = new Map();
  }

  /** Opens a stretch of a warp; returns its number. @param warp The warp */
  openSegment(warp: number): number {
    this.#segmentBlock.push(this.#block);
    this.#segmentWarp.push(warp);
    this.#segmentTime.push(this.#known[warp * WARPS + warp]);
    return this.#segmentBlock.length - 1;
  }

  /** A barrier among warps: each knows what all of them knew, and its own clock goes on. @param warps Who met */
  join(warps: readonly number[]): void {
    for (let v = 0; v < WARPS; v++) {
      let latest = 0;
      for (const w of warps) latest = Math.max(latest, this.#known[w * WARPS + v]);
      for (const w of warps) this.#known[w * WARPS + v] = latest;
    }
    for (const w of warps) this.#known[w * WARPS + w]++;
  }

  /** Notes an access. @param instruction Its index @param segment The warp's stretch */
  note(instruction: number, segment: number): void {
    this.#instruction.push(instruction);
    this.#segment.push(segment);
  }

  /** A fence of a warp: what it did is ready for others. @param warp The warp */
  fence(warp: number): void {
    this.#fenced[warp] = this.length;
  }

  /** An atomic access: takes what others released at the address, and releases what was fenced. */
  synchronise(warp: number, address: number): void {
    const there = this.#released.get(address);
    if (there !== undefined) {
      for (const [block, until] of there) {
        this.#acquired.set(block, Math.max(until, this.#acquired.get(block) ?? 0));
      }
    }
    if (this.#fenced[warp] === 0) return;
    const mine = there ?? new Map<number, number>();
    mine.set(this.#block, this.#fenced[warp]);
    this.#released.set(address, mine);
  }

  /** Index of an access's instruction. @param access From 0 */
  instructionOf(access: number): number {
    return this.#instruction.values[access];
  }

  /** An access's stretch. @param access From 0 */
  segmentOf(access: number): number {
    return this.#segment.values[access];
  }

  /** The block of a stretch. @param segment The stretch */
  blockOf(segment: number): number {
    return this.#segmentBlock.values[segment];
  }

  /** The warp of a stretch. @param segment The stretch */
  warpOf(segment: number): number {
    return this.#segmentWarp.values[segment];
  }

  /**
   * Whether an access of another stretch lies before all that a warp does now.
   * @param access The access
   * @param warp The warp, of the running block
   */
  isOrdered(access: number, warp: number): boolean {
    const segment = this.segmentOf(access);
    const block = this.blockOf(segment);
    if (block !== this.#block) return access < (this.#acquired.get(block) ?? 0);
    const other = this.warpOf(segment);
    const time = this.#segmentTime.values[segment];
    const known = this.#known[warp * WARPS + other];
    // Of its own clock a warp knows the present time, of others' the last one before a barrier.
    return other === warp ? time < known : time <= known;
  }
}
