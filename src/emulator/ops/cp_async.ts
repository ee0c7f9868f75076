/**
 * `cp.async`: copies from device to shared memory that a thread waits for later.
 *
 * At its start the destination becomes NaN and uninitialised: what reads too early is found. At the wait the bytes arrive
 * and count as written at that moment: a barrier that is missing after the wait is found.
 * @module
 */
import type { Access } from "../checker.ts";
import type { Execute } from "../lanes.ts";
import type { Site } from "../operands.ts";
import type { AsyncCopy, Warp } from "../warp.ts";
import type { Family } from "./decoder.ts";
import { approach } from "./memory.ts";
import { ADDRESSES, addressOf } from "./space.ts";

function cp(site: Site): Execute {
  const { parts } = site.instruction;
  if (parts[0] !== "async") return site.fail("only cp.async is known");
  if (parts[1] === "commit_group") return commit;
  if (parts[1] === "wait_group") return waitGroup(site.constant(0), site.pc);
  if (parts[1] === "wait_all") return waitAll(site.pc);
  if (parts[1] !== "ca" && parts[1] !== "cg") return site.fail("this form is not known");
  return start(site);
}

function start(site: Site): Execute {
  const to = addressOf(site, site.operand(0));
  const from = addressOf(site, site.operand(1));
  const bytes = site.constant(2);
  if (![4, 8, 16].includes(bytes)) return site.fail("copies have 4, 8 or 16 bytes");
  const ignores = site.arity > 3 && site.operand(3).kind === "register" &&
    site.types.length === 0 && isPredicate(site);
  const given = site.arity > 3 && !ignores ? site.source(3) : undefined;
  const skip = ignores ? site.condition(site.operand(3)) : undefined;
  const write = { site: site.pc, bytes, align: bytes, kind: "write", pending: true } as const;
  return (warp) => {
    const whole = warp.mask;
    const data = new Uint8Array(32 * bytes);
    const sizes = sizesOf(warp, { bytes, given, skip });
    fetch(warp, { from, bytes, sizes, data, site: site.pc });
    warp.mask = whole;
    const { memory, lanes } = approach(warp, to, { ...write, space: "shared" });
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) !== 0) memory.u8.fill(0xff, ADDRESSES[i], ADDRESSES[i] + bytes);
    }
    warp.copies.push({
      ...{ group: warp.committed, site: site.pc, mask: lanes, bytes, data },
      to: ADDRESSES.slice(),
    });
  };
}

function isPredicate(site: Site): boolean {
  const operand = site.operand(3);
  return operand.kind === "register" && operand.register.type === "pred";
}

/** Bytes that each lane reads: the rest of the destination becomes 0. */
function sizesOf(
  warp: Warp,
  { bytes, given, skip }: {
    readonly bytes: number;
    readonly given: number | undefined;
    readonly skip: { readonly index: number; readonly flip: number } | undefined;
  },
): Uint8Array {
  const sizes = new Uint8Array(32).fill(bytes);
  for (let i = 0; i < 32; i++) {
    if (given !== undefined) sizes[i] = Math.min(bytes, warp.u32[given + i]);
    if (skip !== undefined && ((warp.p[skip.index] ^ skip.flip) >>> i & 1) !== 0) sizes[i] = 0;
  }
  return sizes;
}

/** Reads the source; lanes of the same size go together, which is one go but at ragged edges. */
function fetch(
  warp: Warp,
  { from, bytes, sizes, data, site }: {
    readonly from: ReturnType<typeof addressOf>;
    readonly bytes: number;
    readonly sizes: Uint8Array;
    readonly data: Uint8Array;
    readonly site: number;
  },
): void {
  const whole = warp.mask;
  let left = whole;
  while (left !== 0) {
    const size = sizes[31 - Math.clz32(left & -left)];
    let same = 0;
    for (let i = 0; i < 32; i++) if ((left >>> i & 1) !== 0 && sizes[i] === size) same |= 1 << i;
    left &= ~same;
    if (size === 0) continue;
    warp.mask = same;
    // The address must be aligned to the copy, whatever is read of it.
    const access = { site, space: "global", bytes: size, align: bytes, kind: "read" } as const;
    const { memory, lanes } = approach(warp, from, access);
    for (let i = 0; i < 32; i++) {
      if ((lanes >>> i & 1) === 0) continue;
      const at = ADDRESSES[i];
      for (let k = 0; k < size; k++) data[i * bytes + k] = memory.u8[at + k];
    }
  }
}

function commit(warp: Warp): void {
  whole(warp, warp.pc);
  warp.committed++;
}

/** Groups are kept by warp: all lanes must commit and wait together. */
function whole(warp: Warp, site: number): void {
  if (warp.mask === warp.live) return;
  const message = "lanes of the warp are missing: groups of copies are followed by warp";
  warp.block.findings.add(warp, { kind: "divergent", site, lane: 0, message });
}

function waitGroup(pending: number, site: number): Execute {
  return (warp) => {
    whole(warp, site);
    deliver(warp, warp.committed - pending);
  };
}

function waitAll(site: number): Execute {
  return (warp) => {
    whole(warp, site);
    deliver(warp, Infinity);
  };
}

/** Delivers the copies of groups below a number. */
function deliver(warp: Warp, below: number): void {
  const { copies, block } = warp;
  if (copies.length === 0) return;
  warp.copies = copies.filter(({ group }) => group >= below);
  for (const copy of copies) {
    if (copy.group >= below) continue;
    if (block.checker !== undefined) {
      const { site, bytes } = copy;
      const access: Access = { site, space: "shared", bytes, align: bytes, kind: "write" };
      block.checker.check(warp, access, copy.to, copy.mask);
    }
    land(copy, block.shared.u8);
  }
}

function land({ mask, to, bytes, data }: AsyncCopy, shared: Uint8Array): void {
  for (let i = 0; i < 32; i++) {
    if ((mask >>> i & 1) === 0) continue;
    for (let k = 0; k < bytes; k++) shared[to[i] + k] = data[i * bytes + k];
  }
}

/** Asynchronous copies. */
export const ASYNC_COPIES: Family = { cp };
