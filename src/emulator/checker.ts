/**
 * Judges every access of a launch: bounds, alignment, initialised bytes, races. shadow.ts has what it looks at.
 * @module
 */
import type { Block } from "./block.ts";
import { Books } from "./books.ts";
import type { Counters } from "./counters.ts";
import type { Device } from "./device.ts";
import type { AddressPlace, FindingKind, Findings, OtherAccess } from "./findings.ts";
import { ATOMIC, BYTES_AT, INFOS, Shadow, WHOLE_WARP } from "./shadow.ts";
import type { Warp } from "./warp.ts";

/** An access of a warp. */
export interface Access {
  /** Index of its instruction. */
  readonly site: number;
  readonly space: "global" | "shared";
  /** That each lane reads or writes, all of them together. */
  readonly bytes: number;
  /** Alignment that it must have. */
  readonly align: number;
  readonly kind: "read" | "write" | "atomic";
  /** Of reads and writes: as strong as an atomic. */
  readonly strong?: boolean;
  /** The whole warp gets what each lane reads, as with ldmatrix. */
  readonly wholeWarp?: boolean;
  /** Of writes: the bytes have no value yet, as with cp.async at its start. */
  readonly pending?: boolean;
}

/** What stands before the first access. */
const NO_WARP = {} as Warp;
const NO_ACCESS: Access = { site: 0, space: "shared", bytes: 1, align: 1, kind: "read" };

/** Checks and counts for one launch. */
export class Checker {
  readonly counters: Counters;
  readonly books = new Books();
  readonly #device: Device;
  readonly #shared: Shadow;
  readonly #findings: Findings;
  /** Number of the launch's first access. */
  readonly #first: number;
  /** Instructions that read early, and whether from a copy on its way. */
  readonly #pending = new Map<number, boolean>();
  /** The access that is judged: its memory, who, what, and its number. */
  #shadow: Shadow;
  #warp = NO_WARP;
  #access = NO_ACCESS;
  #number = 0;
  /** The stretch that was looked up last, and the answer. */
  #askedSegment = -1;
  #askedAnswer = false;

  /** @param given Memory of the launch, shared bytes of a block, and where findings and counts go */
  constructor(given: {
    readonly device: Device;
    readonly sharedBytes: number;
    readonly findings: Findings;
    readonly counters: Counters;
  }) {
    const { device, sharedBytes } = given;
    this.#device = device;
    this.#first = device.serial;
    device.shadow.base = this.#first;
    this.#shared = new Shadow(sharedBytes);
    this.#shared.allocate(0, sharedBytes, false);
    this.#shadow = this.#shared;
    this.#findings = given.findings;
    this.counters = given.counters;
  }

  /** Starts a block: shared memory has no values. @param block The block */
  startBlock(block: Block): void {
    this.#shared.forget();
    this.#shared.base = this.#device.serial;
    this.books.startBlock(block.linear);
  }

  /** Starts a stretch of a warp. @param warp The warp */
  startSegment(warp: Warp): void {
    warp.segment = this.books.openSegment(warp.index);
    this.#askedSegment = -1;
  }

  /** A barrier among warps of the running block. @param warps Who met */
  barrier(warps: readonly Warp[]): void {
    this.books.join(warps.map(({ index }) => index));
    for (const warp of warps) this.startSegment(warp);
  }

  /**
   * Judges an access.
   * @param warp Who
   * @param access What
   * @param addresses Byte offsets in the memory, by lane
   * @param mask Lanes that take part
   * @returns Lanes that may go ahead: those in bounds
   */
  check(warp: Warp, access: Access, addresses: Uint32Array, mask: number): number {
    this.#shadow = access.space === "global" ? this.#device.shadow : this.#shared;
    this.#warp = warp;
    this.#access = access;
    this.#number = this.#device.serial++;
    this.books.note(access.site, warp.segment);
    this.#askedSegment = -1;
    const reads = access.kind === "read";
    let good = mask;
    for (let lane = 0; lane < 32; lane++) {
      if ((mask >>> lane & 1) === 0) continue;
      const at = addresses[lane];
      if ((at & access.align - 1) !== 0) {
        this.#report("misaligned", { lane, at, message: misaligned(access, at) });
        good &= ~(1 << lane);
      } else if (!(reads ? this.#read(lane, at) : this.#write(lane, at))) good &= ~(1 << lane);
    }
    return good;
  }

  #read(lane: number, at: number): boolean {
    const access = this.#access;
    const number = this.#number;
    const { state, writer, writerInfo, reader, readerInfo, other, otherInfo, base } = this.#shadow;
    const bytes = access.bytes === 1 ? 1 << (at & 1) : 3;
    const end = at + access.bytes - 1 >>> 1;
    const wanted = bytes | bytes << 2;
    let found = wanted;
    for (let cell = at >>> 1; cell <= end; cell++) found &= state[cell];
    if (found !== wanted) {
      if ((found & bytes) !== bytes) return this.#outside(lane, at);
      this.#uninitialised(lane, at);
    }
    const flags = lane | (access.wholeWarp ? WHOLE_WARP : 0) | (access.strong ? ATOMIC : 0);
    const info = flags | bytes << BYTES_AT;
    const { segment } = this.#warp;
    // Neighbouring cells mostly have the same history: it is judged once.
    let lastWriter = -1;
    let lastInfo = -1;
    let lastReader = -1;
    let lastOther = -1;
    let keeps = false;
    for (let cell = at >>> 1; cell <= end; cell++) {
      const written = writer[cell];
      if (written >= base && (written !== lastWriter || writerInfo[cell] !== lastInfo)) {
        lastWriter = written;
        lastInfo = writerInfo[cell];
        if (this.#conflicts(written, lastInfo, info)) {
          this.#race(lane, at, { number: written, info: lastInfo, access: "write" });
        }
      }
      const read = reader[cell];
      if (read >= base) {
        if (read !== lastReader || other[cell] !== lastOther) {
          lastReader = read;
          lastOther = other[cell];
          keeps = this.#keeps(read, lastOther, base, segment);
        }
        if (keeps) {
          other[cell] = read;
          otherInfo[cell] = readerInfo[cell];
        }
      }
      reader[cell] = number;
      readerInfo[cell] = info;
    }
    return true;
  }

  /** Whether a reader moves to the second place: it is of another stretch, and no reader of another block is lost. */
  #keeps(read: number, other: number, base: number, segment: number): boolean {
    const { books } = this;
    const mine = books.segmentOf(read - this.#first);
    if (mine === segment) return false;
    if (other < base) return true;
    const block = books.blockOf(segment);
    const kept = books.blockOf(books.segmentOf(other - this.#first));
    return books.blockOf(mine) !== block || kept === block;
  }

  #write(lane: number, at: number): boolean {
    const access = this.#access;
    const number = this.#number;
    const { state, writer, writerInfo, reader, readerInfo, other, otherInfo, base } = this.#shadow;
    const bytes = access.bytes === 1 ? 1 << (at & 1) : 3;
    const end = at + access.bytes - 1 >>> 1;
    let found = bytes | bytes << 2;
    for (let cell = at >>> 1; cell <= end; cell++) found &= state[cell];
    if ((found & bytes) !== bytes) return this.#outside(lane, at);
    const atomic = access.kind === "atomic";
    if (atomic && found !== (bytes | bytes << 2)) this.#uninitialised(lane, at);
    const info = lane | (atomic || access.strong ? ATOMIC : 0) | bytes << BYTES_AT;
    const clear = access.pending ? ~(bytes << 2) : -1;
    const set = access.pending ? 0 : bytes << 2;
    // Neighbouring cells mostly have the same history: it is judged once.
    let lastWriter = -1;
    let lastReader = -1;
    let lastOther = -1;
    for (let cell = at >>> 1; cell <= end; cell++) {
      const written = writer[cell];
      const writtenKey = written * INFOS + writerInfo[cell];
      if (written >= base && writtenKey !== lastWriter) {
        lastWriter = writtenKey;
        if (this.#conflicts(written, writerInfo[cell], info)) {
          this.#race(lane, at, { number: written, info: writerInfo[cell], access: "write" });
        }
      }
      const read = reader[cell];
      const readKey = read * INFOS + readerInfo[cell];
      if (read >= base && readKey !== lastReader) {
        lastReader = readKey;
        if (this.#conflicts(read, readerInfo[cell], info)) {
          this.#race(lane, at, { number: read, info: readerInfo[cell], access: "read" });
        }
      }
      const second = other[cell];
      const secondKey = second * INFOS + otherInfo[cell];
      if (second >= base && secondKey !== lastOther) {
        lastOther = secondKey;
        if (this.#conflicts(second, otherInfo[cell], info)) {
          this.#race(lane, at, { number: second, info: otherInfo[cell], access: "read" });
        }
      }
      writer[cell] = number;
      writerInfo[cell] = info;
      state[cell] = state[cell] & clear | set;
    }
    return true;
  }

  /**
   * Whether an earlier access and this one may happen in either order. One of them writes.
   * Lanes of one instruction do not conflict here: which one wins is seen by the values.
   */
  #conflicts(number: number, earlier: number, info: number): boolean {
    if ((earlier & info) >>> BYTES_AT === 0 || (earlier & info & ATOMIC) !== 0) return false;
    const access = number - this.#first;
    const segment = this.books.segmentOf(access);
    const warp = this.#warp;
    if (segment === warp.segment) {
      if (number === this.#number) return false;
      return ((earlier | info) & WHOLE_WARP) !== 0 || (earlier & 31) !== (info & 31);
    }
    if (this.books.blockOf(segment) !== warp.block.linear) {
      return !this.books.isOrdered(access, warp.index);
    }
    if (segment !== this.#askedSegment) {
      this.#askedSegment = segment;
      this.#askedAnswer = this.books.isOrdered(access, warp.index);
    }
    return !this.#askedAnswer;
  }

  #outside(lane: number, at: number): boolean {
    const verb = this.#access.kind === "read" ? "reads" : "writes";
    this.#report("out-of-bounds", { lane, at, message: `${verb} outside of any allocation` });
    return false;
  }

  #uninitialised(lane: number, at: number): void {
    const { site } = this.#access;
    const pending = this.#pending.get(site) ?? isOnItsWay(this.#warp, this.#access, at);
    this.#pending.set(site, pending);
    const message = pending
      ? "reads what cp.async has not delivered: no wait for its group yet"
      : "reads bytes that nothing has written";
    this.#report(pending ? "async-pending" : "uninitialised", { lane, at, message });
  }

  #race(
    lane: number,
    at: number,
    earlier: { readonly number: number; readonly info: number; readonly access: "read" | "write" },
  ): void {
    const warp = this.#warp;
    const access = earlier.number - this.#first;
    const segment = this.books.segmentOf(access);
    const block = this.books.blockOf(segment);
    const other = {
      ...this.#findings.placeOf(this.books.instructionOf(access)),
      access: earlier.access,
      block,
      warp: this.books.warpOf(segment),
      lane: earlier.info & 31,
    };
    const between = block !== warp.block.linear;
    const verb = this.#access.kind === "read" ? "reads" : "writes";
    const past = earlier.access === "read" ? "read" : "wrote";
    const who = between
      ? "another block"
      : other.warp === warp.index
      ? "another lane"
      : "another warp";
    const lacks = between ? "blocks of a launch have no order" : "no barrier lies between";
    const message = `${verb} what ${who} ${past}, and ${lacks}`;
    this.#report(between ? "race-between-blocks" : "race", { lane, at, message, other });
  }

  #report(
    kind: FindingKind,
    given: {
      readonly lane: number;
      readonly at: number;
      readonly message: string;
      readonly other?: OtherAccess;
    },
  ): void {
    const { lane, at, message, other } = given;
    const address = this.#placeOf(this.#access, at);
    this.#findings.add(this.#warp, {
      ...{ kind, message, site: this.#access.site, lane, address },
      ...(other === undefined ? {} : { other }),
    });
  }

  #placeOf({ space, bytes }: Access, at: number): AddressPlace {
    const buffer = space === "global" ? this.#device.nearest(at) : undefined;
    if (buffer === undefined) return { space, offset: at, bytes };
    return {
      space,
      bytes,
      offset: at - buffer.offset,
      allocation: { name: buffer.name, bytes: buffer.bytes },
    };
  }
}

function misaligned({ align }: Access, at: number): string {
  return `the address is ${at % align} past a multiple of ${align}`;
}

/** Whether cp.async of the block has bytes of an access on their way. */
function isOnItsWay(warp: Warp, access: Access, at: number): boolean {
  if (access.space !== "shared") return false;
  return warp.block.warps.some(({ copies }) =>
    copies.some(({ to, bytes, mask }) =>
      to.some((start, lane) =>
        (mask >>> lane & 1) !== 0 && at < start + bytes && start < at + access.bytes
      )
    )
  );
}
