/**
 * Judges every access of a launch: bounds, alignment, initialised bytes, races. shadow.ts has what it looks at.
 * @module
 */
import type { Block } from "./block.ts";
import { Books } from "./books.ts";
import type { Counters } from "./counters.ts";
import type { Device } from "./device.ts";
import type { AddressPlace, FindingKind, Findings, OtherAccess } from "./findings.ts";
import { ALLOCATED, ATOMIC, BYTES_AT, INITIALISED, Shadow, WHOLE_WARP } from "./shadow.ts";
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
  /** Not of the program's own data: constants, which nobody writes. */
  readonly constant?: boolean;
}

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
    const shadow = access.space === "global" ? this.#device.shadow : this.#shared;
    const number = this.#device.serial++;
    this.books.note(access.site, warp.segment);
    this.#askedSegment = -1;
    let good = mask;
    for (let lane = 0; lane < 32; lane++) {
      if ((mask >>> lane & 1) === 0) continue;
      const at = addresses[lane];
      if (at % access.align !== 0) {
        this.#report("misaligned", warp, { access, lane, at, message: misaligned(access, at) });
        good &= ~(1 << lane);
        continue;
      }
      const inside = access.kind === "read"
        ? this.#read(shadow, warp, { access, lane, at, number })
        : this.#write(shadow, warp, { access, lane, at, number });
      if (!inside) good &= ~(1 << lane);
    }
    return good;
  }

  #read(shadow: Shadow, warp: Warp, one: One): boolean {
    const { access, lane, at, number } = one;
    if (!this.#inside(shadow, warp, one)) return false;
    const { state, writer, writerInfo, reader, readerInfo, other, otherInfo, base } = shadow;
    const end = at + access.bytes - 1 >>> 1;
    const { segment } = warp;
    const flags = lane | (access.wholeWarp ? WHOLE_WARP : 0) | (access.strong ? ATOMIC : 0);
    let fresh = true;
    for (let cell = at >>> 1; cell <= end; cell++) {
      const bytes = access.bytes === 1 ? 1 << (at & 1) : 3;
      if ((state[cell] & bytes << 2) !== bytes << 2) fresh = false;
      const info = flags | bytes << BYTES_AT;
      const written = writer[cell];
      if (written >= base && this.#conflicts(written, writerInfo[cell], info, warp)) {
        this.#race(warp, one, { number: written, info: writerInfo[cell], access: "write" });
      }
      const read = reader[cell];
      if (read >= base && this.#keeps(read, other[cell], base, segment)) {
        other[cell] = read;
        otherInfo[cell] = readerInfo[cell];
      }
      reader[cell] = number;
      readerInfo[cell] = info;
    }
    if (!fresh) this.#uninitialised(warp, one);
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

  #write(shadow: Shadow, warp: Warp, one: One): boolean {
    const { access, lane, at, number } = one;
    if (!this.#inside(shadow, warp, one)) return false;
    const { state, writer, writerInfo, reader, readerInfo, other, otherInfo, base } = shadow;
    const end = at + access.bytes - 1 >>> 1;
    const atomic = access.kind === "atomic";
    const flags = lane | (atomic || access.strong === true ? ATOMIC : 0);
    if (atomic && (state[at >>> 1] & INITIALISED) !== INITIALISED) this.#uninitialised(warp, one);
    for (let cell = at >>> 1; cell <= end; cell++) {
      const bytes = access.bytes === 1 ? 1 << (at & 1) : 3;
      const info = flags | bytes << BYTES_AT;
      const written = writer[cell];
      if (written >= base && this.#conflicts(written, writerInfo[cell], info, warp)) {
        this.#race(warp, one, { number: written, info: writerInfo[cell], access: "write" });
      }
      const read = reader[cell];
      if (read >= base && this.#conflicts(read, readerInfo[cell], info, warp)) {
        this.#race(warp, one, { number: read, info: readerInfo[cell], access: "read" });
      }
      const second = other[cell];
      if (second >= base && this.#conflicts(second, otherInfo[cell], info, warp)) {
        this.#race(warp, one, { number: second, info: otherInfo[cell], access: "read" });
      }
      writer[cell] = number;
      writerInfo[cell] = info;
      if (access.pending === true) state[cell] &= ~(bytes << 2);
      else state[cell] |= bytes << 2;
    }
    return true;
  }

  /**
   * Whether an earlier access and this one may happen in either order. One of them writes.
   * Lanes of one instruction do not conflict here: which one wins is seen by the values.
   */
  #conflicts(number: number, earlier: number, info: number, warp: Warp): boolean {
    if ((earlier & info) >>> BYTES_AT === 0 || (earlier & info & ATOMIC) !== 0) return false;
    const access = number - this.#first;
    const segment = this.books.segmentOf(access);
    if (segment === warp.segment) {
      if (number === this.#device.serial - 1) return false;
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

  #inside(shadow: Shadow, warp: Warp, one: One): boolean {
    const { access, at } = one;
    const { state } = shadow;
    const end = at + access.bytes - 1 >>> 1;
    const bytes = access.bytes === 1 ? 1 << (at & 1) : ALLOCATED;
    for (let cell = at >>> 1; cell <= end; cell++) {
      if ((state[cell] & bytes) !== bytes) {
        const verb = access.kind === "read" ? "reads" : "writes";
        this.#report("out-of-bounds", warp, { ...one, message: `${verb} outside of any allocation` });
        return false;
      }
    }
    return true;
  }

  #uninitialised(warp: Warp, one: One): void {
    const { site } = one.access;
    const pending = this.#pending.get(site) ?? isOnItsWay(warp, one);
    this.#pending.set(site, pending);
    this.#report(pending ? "async-pending" : "uninitialised", warp, {
      ...one,
      message: pending
        ? "reads what cp.async has not delivered: no wait for its group yet"
        : "reads bytes that nothing has written",
    });
  }

  #race(
    warp: Warp,
    one: One,
    earlier: { readonly number: number; readonly info: number; readonly access: "read" | "write" },
  ): void {
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
    const verb = one.access.kind === "read" ? "reads" : "writes";
    const past = earlier.access === "read" ? "read" : "wrote";
    const who = between ? "another block" : other.warp === warp.index ? "another lane" : "another warp";
    const lacks = between ? "blocks of a launch have no order" : "no barrier lies between";
    const message = `${verb} what ${who} ${past}, and ${lacks}`;
    this.#report(between ? "race-between-blocks" : "race", warp, { ...one, message, other });
  }

  #report(
    kind: FindingKind,
    warp: Warp,
    given: Omit<One, "number"> & { readonly message: string; readonly other?: OtherAccess },
  ): void {
    const { access, lane, at, message, other } = given;
    const address = this.#placeOf(access, at);
    this.#findings.add(warp, {
      ...{ kind, message, site: access.site, lane, address },
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

/** One lane's access. */
interface One {
  readonly access: Access;
  readonly lane: number;
  readonly at: number;
  readonly number: number;
}

function misaligned({ align }: Access, at: number): string {
  return `the address is ${at % align} past a multiple of ${align}`;
}

/** Whether cp.async of the block has bytes of an access on their way. */
function isOnItsWay(warp: Warp, { access, at }: One): boolean {
  if (access.space !== "shared") return false;
  return warp.block.warps.some(({ copies }) =>
    copies.some(({ to, bytes, mask }) =>
      to.some((start, lane) =>
        (mask >>> lane & 1) !== 0 && at < start + bytes && start < at + access.bytes
      )
    )
  );
}
